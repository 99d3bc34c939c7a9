/**
 * Return the URL of the Socket.IO server, as seen from this page.
 *
 * If the service itself has served the page, Socket.IO is on its other port. Any other port, or TLS, belongs to a proxy
 * in front of both servers, which has `/socket.io/` on the same origin.
 */
export function socketUrl(location, httpPort, socketPort) {
  const port = Number(location.port || (location.protocol === "https:" ? 443 : 80));
  if (location.protocol === "http:" && port === httpPort) return `http://${location.hostname}:${socketPort}`;
  return location.origin;
}
