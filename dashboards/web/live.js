// @ts-check
// The stream of updates, and whether what the page shows can still be believed.

// Health comes every 5 s; without it for this long the connection is dead though open.
const SILENCE_MS = 12_000;
const RETRY_MS = 3_000;

export class Live {
  /** @param {{ event: (kind: string, data: any) => void, state: (state: string) => void }} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {EventSource | null} */
    this.source = null;
    this.heardAt = 0;
    this.away = false;
    setInterval(() => this.watch(), 1000);
  }

  open() {
    this.source?.close();
    const source = new EventSource("/api/v1/stream");
    this.source = source;
    this.heardAt = performance.now();
    source.onopen = () => this.heard();
    for (const kind of ["delta", "deploy", "health", "reset"]) {
      source.addEventListener(kind, (event) => {
        this.heard();
        this.handlers.event(kind, JSON.parse(/** @type {MessageEvent} */ (event).data || "{}"));
      });
    }
    source.onerror = () => {
      this.lost();
      // After an HTTP error the browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED && this.source === source) setTimeout(() => this.open(), RETRY_MS);
    };
  }

  heard() {
    this.heardAt = performance.now();
    this.away = false;
    this.handlers.state("live");
  }

  lost() {
    if (this.away) return;
    this.away = true;
    this.handlers.state("away");
  }

  watch() {
    if (!this.source || performance.now() - this.heardAt < SILENCE_MS) return;
    this.lost();
    this.heardAt = performance.now();
    this.open();
  }
}
