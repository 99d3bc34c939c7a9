// Generated from rag_pipeline/contract/asyncapi.json by `npm run generate`: edits are lost.

/** What a client may hand over when it connects to a namespace, as Socket.IO's `auth`. */
export interface ConnectAuth {
  /** Who asks, where the service wants to know. */
  readonly token?: string;
  /** That of the last event the client saw: it gets what it missed. */
  readonly offset?: string;
  /** Speak Socket.IO's own connection state recovery, with each event's offset as last argument. */
  readonly recovery?: boolean;
  /** What socket.io-client sends with `recovery` when it comes back. */
  readonly pid?: string;
}

export type ConnectError = ConnectRefusal | string;

/** Why a namespace refuses a client. */
export interface ConnectRefusal {
  /** For people. */
  readonly message: string;
  /** For programs: what socket.io-client shows as `error.data`. */
  readonly data?: RefusalDetails;
}

/** What a namespace answers to a client that it lets in; the first `pipeline:status` follows. */
export interface Connected {
  /** The connection's id in this namespace. */
  readonly sid: string;
  /** With `recovery`: the client's own says that it gets what it missed, another one that it starts afresh. */
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
  /** What the pipeline calls it; bytes that are not UTF-8 show as `\xNN`. */
  readonly name: string;
  /** Tells two files of one name apart. */
  readonly id: string | null;
  /** Bytes. */
  readonly size: number | null;
  /** Its media type, as far as known. */
  readonly mime_type: string | null;
  /** Where people find it. */
  readonly link: string | null;
  /** 1, or one more than the attempt before, if that failed or was still in flight. */
  readonly attempt: number;
  /** Null for a file that was completed without being started. */
  readonly started_at: string | null;
  /** What is done with it, as reported last. */
  readonly stage: string | null;
  /** How far the stage is, from 0 to 1. */
  readonly progress: number | null;
  /** When stage or progress were reported last. */
  readonly last_progress_at: string | null;
  /** When it was done, failed, skipped or deleted. */
  readonly completed_at: string | null;
  /** From start to end, by a clock that no one sets. */
  readonly duration_seconds: number | null;
  /** What the pipeline said of a completed file: any JSON. */
  readonly result: unknown;
  /** Of a failed or skipped file. */
  readonly error: FileError | null;
}

/** `pipeline:file_completed`, `…_failed`, `…_skipped`, `…_deleted`: a file that is in flight no more. */
export interface FileEndEvent {
  /** Which pipeline. */
  readonly pipeline_id: string;
  /** Decides the namespace. */
  readonly pipeline_type: string | null;
  /** Changes when `seq` starts over. */
  readonly epoch: string;
  /** One above the event before of this pipeline. */
  readonly seq: number;
  /** When it happened. */
  readonly timestamp: string;
  /** Opaque: where a client that has seen this event goes on from. */
  readonly offset: string;
  /** The file, with its stage and progress. */
  readonly file: File;
  /** The counts after it. */
  readonly totals: Totals;
}

/** Why a file failed, or was skipped. */
export interface FileError {
  /** The exception's class; `Skipped` for a skipped file, `Interrupted` for one whose process ended. */
  readonly type: string;
  /** For people, cut at 1,000 characters; the reason of a skipped file. */
  readonly message: string;
  /** Where it happened. */
  readonly stage: string | null;
  /** Whether the same can succeed later with nothing changed. */
  readonly retryable: boolean;
}

/** `pipeline:file_processing_started`, `pipeline:file_progress`: a file in flight. */
export interface FileEvent {
  /** Which pipeline. */
  readonly pipeline_id: string;
  /** Decides the namespace. */
  readonly pipeline_type: string | null;
  /** Changes when `seq` starts over. */
  readonly epoch: string;
  /** One above the event before of this pipeline. */
  readonly seq: number;
  /** When it happened. */
  readonly timestamp: string;
  /** Opaque: where a client that has seen this event goes on from. */
  readonly offset: string;
  /** The file, with its stage and progress. */
  readonly file: File;
  /** The counts after it, with the start of a file that had an outcome before: it counts as in flight alone. */
  readonly totals?: Totals;
}

export type Namespace = "/google_drive" | "/local_files" | "/pipeline" | "/";

/** Why a client is refused, for programs. */
export interface RefusalDetails {
  /** With `keys_unavailable` the same token may be good in a moment. */
  readonly code: "token_missing" | "token_invalid" | "token_expired" | "namespace_not_allowed" | "keys_unavailable";
}

/** The whole state of one pipeline; fields that the pipeline sets itself stand beside these. */
export interface State {
  /** Its identity; null in the first status of a namespace that has no pipeline of its type. */
  readonly pipeline_id: string | null;
  /** Decides the namespace. */
  readonly pipeline_type: string | null;
  /** One of the examples, or the pipeline's own; `stalled` is the service's word for a process that went silent. */
  readonly status: string;
  /** Changes when `seq` starts over; null beside a null `pipeline_id`. */
  readonly epoch: string | null;
  /** Rises by one with each mutation; 0 before the first report. */
  readonly seq: number;
  /** When the pipeline began. */
  readonly started_at: string | null;
  /** Its last mutation. */
  readonly last_activity: string | null;
  /** When the source was looked at. */
  readonly last_check_time: string | null;
  /** When it will be looked at again. */
  readonly next_check_time: string | null;
  /** From the moment of the answer or event on. */
  readonly seconds_until_next_check: number | null;
  /** Seconds between two looks. */
  readonly check_interval: number | null;
  /** The source is being looked at now. */
  readonly is_checking: boolean;
  /** How many files are being worked on. */
  readonly files_in_flight: number;
  /** Files that were completed since the pipeline's first file. */
  readonly total_processed: number;
  /** Attempts that failed. */
  readonly total_failed: number;
  /** Files that needed no work. */
  readonly total_skipped: number;
  /** Files whose source is gone. */
  readonly total_deleted: number;
  /** Known and waiting. */
  readonly files_queued: number | null;
  /** Over the last five minutes; failed and skipped files count as done. */
  readonly files_per_minute: number | null;
  /** For what is queued and in flight at that rate. */
  readonly eta_seconds: number | null;
  /** Those in flight, the 100 started last, in the order they started. */
  readonly files_processing: readonly File[];
  /** The last 10, the newest last. */
  readonly files_completed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_failed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_skipped: readonly File[];
  readonly [key: string]: unknown;
}

/** `pipeline:status`: the whole state. One that sums up carries the `seq` of the state it shows. */
export interface StatusEvent {
  /** Its identity; null in the first status of a namespace that has no pipeline of its type. */
  readonly pipeline_id: string | null;
  /** Decides the namespace. */
  readonly pipeline_type: string | null;
  /** One of the examples, or the pipeline's own; `stalled` is the service's word for a process that went silent. */
  readonly status: string;
  /** Changes when `seq` starts over; null beside a null `pipeline_id`. */
  readonly epoch: string | null;
  /** Rises by one with each mutation; 0 before the first report. */
  readonly seq: number;
  /** When the pipeline began. */
  readonly started_at: string | null;
  /** Its last mutation. */
  readonly last_activity: string | null;
  /** When the source was looked at. */
  readonly last_check_time: string | null;
  /** When it will be looked at again. */
  readonly next_check_time: string | null;
  /** From the moment of the answer or event on. */
  readonly seconds_until_next_check: number | null;
  /** Seconds between two looks. */
  readonly check_interval: number | null;
  /** The source is being looked at now. */
  readonly is_checking: boolean;
  /** How many files are being worked on. */
  readonly files_in_flight: number;
  /** Files that were completed since the pipeline's first file. */
  readonly total_processed: number;
  /** Attempts that failed. */
  readonly total_failed: number;
  /** Files that needed no work. */
  readonly total_skipped: number;
  /** Files whose source is gone. */
  readonly total_deleted: number;
  /** Known and waiting. */
  readonly files_queued: number | null;
  /** Over the last five minutes; failed and skipped files count as done. */
  readonly files_per_minute: number | null;
  /** For what is queued and in flight at that rate. */
  readonly eta_seconds: number | null;
  /** Those in flight, the 100 started last, in the order they started. */
  readonly files_processing: readonly File[];
  /** The last 10, the newest last. */
  readonly files_completed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_failed: readonly File[];
  /** The last 5, the newest last. */
  readonly files_skipped: readonly File[];
  /** When it happened. */
  readonly timestamp: string;
  /** Opaque: where a client that has seen this event goes on from. */
  readonly offset: string;
  /** To a client that named an offset: whether it has everything since then, or starts afresh. */
  readonly recovered?: boolean;
  /** Events are missing before this one; the state it shows is right. */
  readonly gap?: boolean;
  readonly [key: string]: unknown;
}

/** Counts since the pipeline's first file, over restarts too; never trimmed. */
export interface Totals {
  /** Files that were completed. */
  readonly total_processed: number;
  /** Attempts that failed. */
  readonly total_failed: number;
  /** Files that needed no work. */
  readonly total_skipped: number;
  /** Files whose source is gone. */
  readonly total_deleted: number;
}

/** Each event's name, and what it carries. */
export interface Events {
  /** The whole state: first after the connection, on each update, and within 100 ms after file events. */
  readonly "pipeline:status": StatusEvent;
  /** A file is in flight. */
  readonly "pipeline:file_processing_started": FileEvent;
  /** Its stage or fraction changed: at most 10 a second for one file, the last always comes. */
  readonly "pipeline:file_progress": FileEvent;
  /** A file is done. */
  readonly "pipeline:file_completed": FileEndEvent;
  /** A file is done, with an error. */
  readonly "pipeline:file_failed": FileEndEvent;
  /** A file needs no work. */
  readonly "pipeline:file_skipped": FileEndEvent;
  /** A file's source is gone. */
  readonly "pipeline:file_deleted": FileEndEvent;
}
