// @ts-check
// Questions to the server. An error says what is wrong and what to do.

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {string} hint
   * @param {number} status
   */
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

/**
 * Asks for JSON.
 * @param {string} path
 * @param {Record<string, string | number | null | undefined>} [params]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, params = {}, signal) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return ask(`/api/v1/${path}${text ? `?${text}` : ""}`, { headers: { accept: "application/json" } }, signal);
}

/**
 * Posts JSON.
 * @param {string} path
 * @param {any} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function post(path, body, signal) {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return ask(`/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) }, signal);
}

/**
 * @param {string} address
 * @param {RequestInit} request
 * @param {AbortSignal} [signal]
 */
async function ask(address, request, signal) {
  let response;
  try {
    response = await fetch(address, { signal, ...request });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("the server does not answer", "it is asked again by itself", 0);
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  throw new ApiError(body?.error ?? `the server answered ${response.status}`, body?.hint ?? "", response.status);
}
