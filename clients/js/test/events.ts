/** Events in the form of the service, for tests that need exact events. */
import type { Events, File, NamedEvent, StatusEvent } from "../src/types.js";

export const EPOCH = "epoch-a";

/** Return an offset that can be resumed from. */
export function offset(place: number): string {
  return `00000000000000aa-${place.toString(16)}`;
}

export function file(name: string, more: Partial<File> = {}): File {
  return {
    name,
    id: name,
    size: null,
    mime_type: null,
    link: null,
    attempt: 1,
    started_at: "2026-01-31T12:00:00.000+00:00",
    stage: null,
    progress: null,
    last_progress_at: null,
    completed_at: null,
    duration_seconds: null,
    result: null,
    error: null,
    warnings: [],
    quality: null,
    ...more,
  };
}

export function statusEvent(more: Partial<StatusEvent> = {}): StatusEvent {
  return {
    pipeline_id: "a",
    pipeline_type: "local_files",
    status: "running",
    epoch: EPOCH,
    seq: 1,
    started_at: "2026-01-31T12:00:00.000+00:00",
    last_activity: "2026-01-31T12:00:00.000+00:00",
    last_check_time: null,
    next_check_time: null,
    seconds_until_next_check: null,
    check_interval: null,
    is_checking: false,
    files_in_flight: 0,
    files_processing: [],
    files_completed: [],
    files_failed: [],
    files_skipped: [],
    total_processed: 0,
    total_failed: 0,
    total_skipped: 0,
    total_deleted: 0,
    total_with_warnings: 0,
    files_queued: null,
    files_per_minute: null,
    eta_seconds: null,
    timestamp: "2026-01-31T12:00:00.000+00:00",
    offset: offset(1),
    ...more,
  };
}

export function fileEvent(seq: number, more: object = {}): Events["pipeline:file_processing_started"] {
  return {
    pipeline_id: "a",
    pipeline_type: "local_files",
    epoch: EPOCH,
    seq,
    timestamp: "2026-01-31T12:00:01.000+00:00",
    offset: offset(seq),
    file: file(`file-${seq}`),
    ...more,
  };
}

export function status(more: Partial<StatusEvent> = {}): NamedEvent {
  return ["pipeline:status", statusEvent(more)];
}

export function started(seq: number, more: object = {}): NamedEvent {
  return ["pipeline:file_processing_started", fileEvent(seq, more)];
}
