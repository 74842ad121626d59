-- Format 1 of the fatalmonitor store. Times are event time: seconds since the Unix epoch where a column is called
-- bucket, milliseconds elsewhere. The views at the end show the same in words.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- State of the detector, opaque here: a version byte and a compact encoding.
CREATE TABLE state (
  kind TEXT NOT NULL,
  key BLOB NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT;

-- Where each source partition goes on; written in the transaction that writes the state.
CREATE TABLE position (
  source TEXT NOT NULL,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  next INTEGER NOT NULL,
  watermark INTEGER,
  limiter BLOB NOT NULL,
  PRIMARY KEY (source, topic, partition)
) STRICT, WITHOUT ROWID;

-- Signatures in readable columns.
CREATE TABLE signature (
  id TEXT PRIMARY KEY,
  channel TEXT NOT NULL,
  level TEXT NOT NULL,
  template TEXT NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  first_version TEXT NOT NULL,
  events INTEGER NOT NULL
) STRICT;

-- Names of channels, versions, groups and levels.
CREATE TABLE name (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE
) STRICT;

-- A signature on one version in one group.
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  signature BLOB NOT NULL,
  version INTEGER NOT NULL,
  release_group INTEGER NOT NULL,
  UNIQUE (signature, version, release_group)
) STRICT;

CREATE TABLE series_10s (
  series INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (series, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE series_1m (
  series INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (series, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE series_1h (
  series INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (series, bucket)
) STRICT, WITHOUT ROWID;

-- A channel on one version in one group at one level.
CREATE TABLE channel (
  id INTEGER PRIMARY KEY,
  channel INTEGER NOT NULL,
  version INTEGER NOT NULL,
  release_group INTEGER NOT NULL,
  level INTEGER NOT NULL,
  UNIQUE (channel, version, release_group, level)
) STRICT;

CREATE TABLE channel_10s (
  channel INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  counted INTEGER NOT NULL,
  capped INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (channel, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_1m (
  channel INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  counted INTEGER NOT NULL,
  capped INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (channel, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_1h (
  channel INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  counted INTEGER NOT NULL,
  capped INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (channel, bucket)
) STRICT, WITHOUT ROWID;

-- Every change in the life of an alert; body is the whole of it as JSON.
CREATE TABLE alert_log (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  state TEXT NOT NULL,
  kind TEXT NOT NULL,
  alert TEXT NOT NULL,
  signature TEXT,
  body TEXT NOT NULL
) STRICT;

CREATE VIEW signatures_in_words AS
  SELECT id, channel, level, template, events, first_version,
         datetime(first_seen / 1000, 'unixepoch') AS first_seen,
         datetime(last_seen / 1000, 'unixepoch') AS last_seen
  FROM signature;

CREATE VIEW errors_by_minute AS
  SELECT datetime(m.bucket, 'unixepoch') AS minute, lower(hex(s.signature)) AS signature,
         v.text AS version, g.text AS release_group, m.events
  FROM series_1m m
  JOIN series s ON s.id = m.series
  JOIN name v ON v.id = s.version
  JOIN name g ON g.id = s.release_group;

CREATE VIEW channels_by_minute AS
  SELECT datetime(m.bucket, 'unixepoch') AS minute, c.text AS channel, v.text AS version,
         g.text AS release_group, l.text AS level, m.counted, m.capped, m.rejected, m.bytes
  FROM channel_1m m
  JOIN channel k ON k.id = m.channel
  JOIN name c ON c.id = k.channel
  JOIN name v ON v.id = k.version
  JOIN name g ON g.id = k.release_group
  JOIN name l ON l.id = k.level;
