/** What went wrong with a question over HTTP, in one line; `code` is the service's word for it, if it has one. */
export class AnswerError extends Error {
  constructor(message, status, code = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Ask the service for files; raises AnswerError, and what fetch raises when it is aborted. */
export async function askFiles(query, headers, signal) {
  const response = await fetch(`files?${query}`, { headers, signal }).catch((error) => {
    if (signal.aborted) throw error;
    throw new AnswerError("The history can't be reached now.", 0);
  });
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new AnswerError(`The history can't be shown: ${body.error ?? response.status}`, response.status, body.code);
}
