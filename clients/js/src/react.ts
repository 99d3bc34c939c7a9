/** The React hook, over a store of its own or one that components share. */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { createPipelineStore, nothingYet } from "./store.js";
import type { PipelineStore, PipelineStoreOptions, Snapshot, TokenSource } from "./types.js";

type Source = PipelineStore | PipelineStoreOptions;
type Followed = Pick<PipelineStore, "getSnapshot" | "subscribe">;

/** What is shown on the server, and while a page of it comes to life. */
const NOTHING_YET = nothingYet(0);

/**
 * Return the live state, or what `selector` takes from it; the component is rendered when that changes by `isEqual`.
 *
 * With options the hook has a connection of its own while the component is mounted; another url, namespace, path or
 * token begins another one, and a token's callback may be written inline. With a store, as made once by
 * `createPipelineStore`, any number of components share one connection, which stays open.
 */
export function usePipelineStatus(source: Source): Snapshot;
export function usePipelineStatus<T>(
  source: Source,
  selector: (snapshot: Snapshot) => T,
  isEqual?: (one: T, other: T) => boolean,
): T;
export function usePipelineStatus<T = Snapshot>(
  source: Source,
  selector: (snapshot: Snapshot) => T = whole as (snapshot: Snapshot) => T,
  isEqual: (one: T, other: T) => boolean = Object.is,
): T {
  const store = useFollowed(source);
  const shown = useRef<{ readonly value: T } | null>(null);
  const [select, selectOnServer] = useMemo(() => {
    const selected = selecting(selector, isEqual, shown);
    const onServer = selecting(selector, isEqual);
    return [() => selected(store.getSnapshot()), () => onServer(NOTHING_YET)] as const;
  }, [store, selector, isEqual]);
  const value = useSyncExternalStore(store.subscribe, select, selectOnServer);
  useEffect(() => {
    shown.current = { value };
  }, [value]);
  return value;
}

function whole(snapshot: Snapshot): Snapshot {
  return snapshot;
}

/** Return the selector such that it gives the same object for what is equal, also to what is `shown` already. */
function selecting<T>(
  selector: (snapshot: Snapshot) => T,
  isEqual: (one: T, other: T) => boolean,
  shown?: { readonly current: { readonly value: T } | null },
): (snapshot: Snapshot) => T {
  let last: { readonly snapshot: Snapshot; readonly value: T } | null = null;
  return (snapshot) => {
    if (last?.snapshot === snapshot) return last.value;
    const value = selector(snapshot);
    const known = last ?? shown?.current ?? null;
    last = { snapshot, value: known !== null && isEqual(known.value, value) ? known.value : value };
    return last.value;
  };
}

/** Return the store that was given, or one that is connected while anyone follows it. */
function useFollowed(source: Source): Followed {
  const options = "subscribe" in source ? null : source;
  const token = useRef<TokenSource | undefined>(undefined);
  useEffect(() => {
    token.current = options?.token;
  });
  const given = options === null ? source : keyOf(options);
  const make = (): { given: unknown; store: Followed } => ({
    given,
    store: options === null ? (source as PipelineStore) : whileFollowed(options, token),
  });
  const [held, hold] = useState(make);
  if (held.given === given) return held.store;
  const next = make();
  hold(next); // React renders again before it shows anything
  return next.store;
}

/** Return what tells one connection from another; a callback is asked when it is needed, and may change. */
function keyOf({ url, namespace, path, token, notify }: PipelineStoreOptions): string {
  return JSON.stringify([url, namespace, path, typeof token === "function" ? true : [token], notify]);
}

/** Return a store that is made for the first that follows it, and closed after the last has left. */
function whileFollowed(options: PipelineStoreOptions, token: { readonly current: TokenSource | undefined }): Followed {
  let store: PipelineStore | null = null;
  let last = NOTHING_YET;
  let followers = 0;
  const latestToken = async (): Promise<string> => {
    const latest = token.current ?? options.token;
    return typeof latest === "function" ? latest() : (latest ?? "");
  };
  const open = (): PipelineStore =>
    createPipelineStore(typeof options.token === "function" ? { ...options, token: latestToken } : options);
  return {
    getSnapshot: () => (store === null ? last : (last = store.getSnapshot())),
    subscribe(listener) {
      followers += 1;
      store ??= open();
      const leave = store.subscribe(listener);
      return () => {
        leave();
        followers -= 1;
        // Not at once: in StrictMode an effect ends and begins again, which is no reason to connect twice.
        setTimeout(() => {
          if (followers > 0 || store === null) return;
          store.close();
          store = null;
          last = NOTHING_YET;
        });
      };
    },
  };
}
