"""Looking from another machine: `serve` on the board, a viewer or a program elsewhere, one TCP port between them.

`wire.py` has the messages. On the board: `sockets.py` (ZeroMQ), `authenticator.py` (who is let in), `connections.py` (limits of TCP
connections), `sessions.py` (each viewer's session), `send_queue.py` and `congestion_window.py` (what one viewer is sent, and when),
`frame_pacing.py` (which frames are shown). Elsewhere: `client.py`, which drives `client_protocol.py`, and `clock.py`. For both: `keys.py`.
"""
