export { createPipelineStore } from "./store.js";
export type {
  Connection,
  ConnectionError,
  ConnectionStatus,
  EventName,
  Events,
  File,
  FileError,
  FileWarning,
  Namespace,
  PipelineStore,
  PipelineStoreOptions,
  Snapshot,
  State,
  TokenSource,
  Totals,
} from "./types.js";
