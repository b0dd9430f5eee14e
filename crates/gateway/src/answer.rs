//! The server's answers: server-sent events, what makes one whole, how one is assembled, and how a cut one is continued.
