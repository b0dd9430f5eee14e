//! One connection to a server for one attempt: dropped, it is closed.
