/**
 * Return where Socket.IO is, as seen from this page.
 *
 * A page that the service itself has served finds Socket.IO on its other port. Any other port, or TLS, is that of a
 * proxy in front of both, which has `/socket.io/` on the same origin.
 */
export function socketAddress(location, httpPort, socketPort) {
  const port = Number(location.port || (location.protocol === "https:" ? 443 : 80));
  if (location.protocol === "http:" && port === httpPort) return `http://${location.hostname}:${socketPort}`;
  return location.origin;
}
