// k6/ws: a connection a virtual user, the next message when anything comes back. Run by peers/catalogue.py.
import ws from 'k6/ws';

export default function () {
  ws.connect(__ENV.URL, {}, (socket) => {
    socket.on('open', () => socket.send(__ENV.PAYLOAD));
    socket.on('message', () => socket.send(__ENV.PAYLOAD));
    socket.setTimeout(() => socket.close(), Number(__ENV.SECONDS) * 1000);
  });
}
