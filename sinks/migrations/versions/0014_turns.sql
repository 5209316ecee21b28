-- Whose turn it is to do what only one may do at a time (`what`: 'replay'): the newest entry by `n` counts. Its holder
-- appends another one every few seconds for as long as it is there, and 'released' in the end (sinks/turns.py).
CREATE TABLE IF NOT EXISTS siyu.sink_turns
(
    what String,
    n UInt64,
    owner String,
    holder String,
    state String,
    noted_ms Int64,
    noted DateTime('UTC') DEFAULT toDateTime(intDiv(noted_ms, 1000))
)
ENGINE = MergeTree
ORDER BY (what, n);
