/** A failed HTTP request, described in one line; `code` is the service's error code, if there is one. */
export class ApiError extends Error {
  constructor(message, status, code = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Return the JSON of a response; raises ApiError, or what fetch raises when it is aborted. */
export async function requestJson(url, options = {}) {
  const response = await fetch(url, options).catch((error) => {
    if (options.signal?.aborted) throw error;
    throw new ApiError("The service can't be reached now.", 0);
  });
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new ApiError(body.error ?? `The service answered ${response.status}.`, response.status, body.code);
}

/** Search the files; raises ApiError, or what fetch raises when it is aborted. */
export async function searchFiles(query, headers, signal) {
  try {
    return await requestJson(`files?${query}`, { headers, signal });
  } catch (error) {
    if (error instanceof ApiError && error.status) error.message = `The history can't be shown: ${error.message}`;
    throw error;
  }
}
