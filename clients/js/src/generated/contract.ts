// Generated from rag_pipeline/contract/asyncapi.json by `npm run generate`: edits are lost.

/** Data that a client can send when it connects to a namespace, as Socket.IO's `auth`. */
export interface ConnectAuth {
  /** The client's token, if the service requires one. */
  readonly token?: string;
  /** The offset of the last event that the client got: it gets all events since then. */
  readonly offset?: string;
  /** Use Socket.IO's connection state recovery, with each event's offset as its last argument. */
  readonly recovery?: boolean;
  /** Sent by socket.io-client with `recovery` when it reconnects. */
  readonly pid?: string;
}

export type ConnectError = ConnectRefusal | string;

/** Why a namespace refuses a client. */
export interface ConnectRefusal {
  /** For people. */
  readonly message: string;
  /** For programs: socket.io-client has it as `error.data`. */
  readonly data?: RefusalDetails;
}

/** The answer of a namespace that accepts the client; the first `pipeline:status` follows. */
export interface Connected {
  /** The connection's id in this namespace. */
  readonly sid: string;
  /** With `recovery`: the client's own `pid` if it gets all events since its offset, a new one if it starts over. */
  readonly pid?: string;
}

export type Event = StatusEvent | FileEvent | FileEndEvent;

export type EventName =
  | "pipeline:status"
  | "pipeline:file_processing_started"
  | "pipeline:file_progress"
  | "pipeline:file_completed"
  | "pipeline:file_failed"
  | "pipeline:file_skipped"
  | "pipeline:file_deleted";

/** One file as of its last change. */
export interface File {
  /** The pipeline's name for it; bytes that are not UTF-8 are written as `\xNN`. */
  readonly name: string;
  /** Distinguishes files of the same name. */
  readonly id: string | null;
  /** In bytes. */
  readonly size: number | null;
  /** Its media type, if known. */
  readonly mime_type: string | null;
  /** A link to it, for people. */
  readonly link: string | null;
  /** 1, or one more than the last attempt if that failed or was still in flight. */
  readonly attempt: number;
  /** Null if it was completed without being started. */
  readonly started_at: string | null;
  /** The stage reported last. */
  readonly stage: string | null;
  /** Progress within the stage, from 0 to 1. */
  readonly progress: number | null;
  /** When stage or progress was reported last. */
  readonly last_progress_at: string | null;
  /** When it was completed, failed, skipped or deleted. */
  readonly completed_at: string | null;
  /** From start to end, by a monotonic clock. */
  readonly duration_seconds: number | null;
  /** The pipeline's result of a completed file: any JSON. */
  readonly result: unknown;
  /** Why it failed or was skipped. */
  readonly error: FileError | null;
  /** The warnings of a completed file; empty for any other. */
  readonly warnings: readonly FileWarning[];
  /** Figures about a completed file's text, at most 20. The built-in pipelines report `characters`, `odd_characters` (the share that is not readable text, 0 to 1), `pages` and `pages_without_text` (null for formats without pages). */
  readonly quality: {
    readonly [key: string]: number | null;
  } | null;
}

/** `pipeline:file_completed`, `…_failed`, `…_skipped`, `…_deleted`: the end of a file. */
export interface FileEndEvent {
  /** The pipeline's id. */
  readonly pipeline_id: string;
  /** Determines the namespace. */
  readonly pipeline_type: string | null;
  /** Changes when `seq` starts over. */
  readonly epoch: string;
  /** One more than that of the pipeline's event before. */
  readonly seq: number;
  /** The time of the event. */
  readonly timestamp: string;
  /** Opaque: a client that has this event can resume from here. */
  readonly offset: string;
  /** The file, with its stage and progress. */
  readonly file: File;
  /** The counts after the event. */
  readonly totals: Totals;
}

/** Why a file failed, or was skipped. */
export interface FileError {
  /** The exception's class; `Skipped` for a skipped file, `Interrupted` if the process ended. */
  readonly type: string;
  /** For people, cut to 1,000 characters; the reason of a skipped file. */
  readonly message: string;
  /** The stage in which it happened. */
  readonly stage: string | null;
  /** Whether another attempt can succeed without a change by the user. */
  readonly retryable: boolean;
}

/** `pipeline:file_processing_started`, `pipeline:file_progress`: a file in flight. */
export interface FileEvent {
  /** The pipeline's id. */
  readonly pipeline_id: string;
  /** Determines the namespace. */
  readonly pipeline_type: string | null;
  /** Changes when `seq` starts over. */
  readonly epoch: string;
  /** One more than that of the pipeline's event before. */
  readonly seq: number;
  /** The time of the event. */
  readonly timestamp: string;
  /** Opaque: a client that has this event can resume from here. */
  readonly offset: string;
  /** The file, with its stage and progress. */
  readonly file: File;
  /** The new counts, if the started file had an outcome before: it then counts only as in flight. */
  readonly totals?: Totals;
}

/** A fault of a completed file that did not stop the work. */
export interface FileWarning {
  /** A short fixed word, such as `pages_without_text`. */
  readonly type: string;
  /** For people, cut to 300 characters. */
  readonly message: string;
  /** The number of cases. */
  readonly count: number;
}

export type Namespace = "/google_drive" | "/local_files" | "/pipeline" | "/";

/** Why a client is refused, for programs. */
export interface RefusalDetails {
  /** After `keys_unavailable`, the same token may be accepted soon. */
  readonly code: "token_missing" | "token_invalid" | "token_expired" | "namespace_not_allowed" | "keys_unavailable";
}

/** The whole state of one pipeline; the pipeline's own fields are beside these. */
export interface State {
  /** Its id; null in the first status of a namespace without a pipeline. */
  readonly pipeline_id: string | null;
  /** Determines the namespace. */
  readonly pipeline_type: string | null;
  /** One of the examples, or the pipeline's own; the service sets `stalled` if the process went silent. */
  readonly status: string;
  /** Changes when `seq` starts over; null if `pipeline_id` is null. */
  readonly epoch: string | null;
  /** Rises by one with each mutation; 0 before the first report. */
  readonly seq: number;
  /** When the pipeline began. */
  readonly started_at: string | null;
  /** The time of its last mutation. */
  readonly last_activity: string | null;
  /** When the source was checked last. */
  readonly last_check_time: string | null;
  /** When the source will be checked next. */
  readonly next_check_time: string | null;
  /** Counted from the time of the answer or event. */
  readonly seconds_until_next_check: number | null;
  /** Seconds between two checks. */
  readonly check_interval: number | null;
  /** Whether the source is being checked now. */
  readonly is_checking: boolean;
  /** Number of files being processed. */
  readonly files_in_flight: number;
  /** Files that completed since the pipeline's first file. */
  readonly total_processed: number;
  /** Files that failed. */
  readonly total_failed: number;
  /** Files that needed no work. */
  readonly total_skipped: number;
  /** Files whose source is gone. */
  readonly total_deleted: number;
  /** Completed files that have warnings; they count in `total_processed` too. */
  readonly total_with_warnings: number;
  /** Number of known files that wait. */
  readonly files_queued: number | null;
  /** Over the last five minutes; failed and skipped files count as done. */
  readonly files_per_minute: number | null;
  /** Time for the queued files and those in flight at that rate. */
  readonly eta_seconds: number | null;
  /** The files in flight, at most the 100 started last, in the order of their start. */
  readonly files_processing: readonly File[];
  /** The last 10, the newest last. */
  readonly files_completed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_failed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_skipped: readonly File[];
  readonly [key: string]: unknown;
}

/** `pipeline:status`: the whole state. If it only repeats the state, it has the `seq` of that state. */
export interface StatusEvent {
  /** Its id; null in the first status of a namespace without a pipeline. */
  readonly pipeline_id: string | null;
  /** Determines the namespace. */
  readonly pipeline_type: string | null;
  /** One of the examples, or the pipeline's own; the service sets `stalled` if the process went silent. */
  readonly status: string;
  /** Changes when `seq` starts over; null if `pipeline_id` is null. */
  readonly epoch: string | null;
  /** Rises by one with each mutation; 0 before the first report. */
  readonly seq: number;
  /** When the pipeline began. */
  readonly started_at: string | null;
  /** The time of its last mutation. */
  readonly last_activity: string | null;
  /** When the source was checked last. */
  readonly last_check_time: string | null;
  /** When the source will be checked next. */
  readonly next_check_time: string | null;
  /** Counted from the time of the answer or event. */
  readonly seconds_until_next_check: number | null;
  /** Seconds between two checks. */
  readonly check_interval: number | null;
  /** Whether the source is being checked now. */
  readonly is_checking: boolean;
  /** Number of files being processed. */
  readonly files_in_flight: number;
  /** Files that completed since the pipeline's first file. */
  readonly total_processed: number;
  /** Files that failed. */
  readonly total_failed: number;
  /** Files that needed no work. */
  readonly total_skipped: number;
  /** Files whose source is gone. */
  readonly total_deleted: number;
  /** Completed files that have warnings; they count in `total_processed` too. */
  readonly total_with_warnings: number;
  /** Number of known files that wait. */
  readonly files_queued: number | null;
  /** Over the last five minutes; failed and skipped files count as done. */
  readonly files_per_minute: number | null;
  /** Time for the queued files and those in flight at that rate. */
  readonly eta_seconds: number | null;
  /** The files in flight, at most the 100 started last, in the order of their start. */
  readonly files_processing: readonly File[];
  /** The last 10, the newest last. */
  readonly files_completed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_failed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_skipped: readonly File[];
  /** The time of the event. */
  readonly timestamp: string;
  /** Opaque: a client that has this event can resume from here. */
  readonly offset: string;
  /** For a client that sent an offset: true if it gets all events since then, false if it starts over. */
  readonly recovered?: boolean;
  /** Events before this one are missing; its state is right. */
  readonly gap?: boolean;
  readonly [key: string]: unknown;
}

/** Counts of files by their newest outcome, since the pipeline's first file; restarts keep them. */
export interface Totals {
  /** Files that completed. */
  readonly total_processed: number;
  /** Files that failed. */
  readonly total_failed: number;
  /** Files that needed no work. */
  readonly total_skipped: number;
  /** Files whose source is gone. */
  readonly total_deleted: number;
  /** Completed files that have warnings; they count in `total_processed` too. */
  readonly total_with_warnings: number;
}

/** Each event's name, and what it carries. */
export interface Events {
  /** The whole state: first after the connect, on each update, and within 100 ms after file events. */
  readonly "pipeline:status": StatusEvent;
  /** A file was started. */
  readonly "pipeline:file_processing_started": FileEvent;
  /** A file's stage or fraction changed: at most 10 a second for one file, always with the last. */
  readonly "pipeline:file_progress": FileEvent;
  /** A file completed. */
  readonly "pipeline:file_completed": FileEndEvent;
  /** A file failed. */
  readonly "pipeline:file_failed": FileEndEvent;
  /** A file was skipped: it needs no work. */
  readonly "pipeline:file_skipped": FileEndEvent;
  /** A file's source is gone. */
  readonly "pipeline:file_deleted": FileEndEvent;
}
