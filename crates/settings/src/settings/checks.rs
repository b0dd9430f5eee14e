//! What makes no sense although every section does by itself.

use super::Settings;
use crate::reader::Reader;

pub(super) fn between_sections(settings: &Settings, reader: &mut Reader<'_>) {
    let stable_after = settings.restart.stable_after;
    if stable_after < settings.breaker.probation {
        reader.conflict(
            "restart.stable_after",
            "breaker.probation",
            "a run would count as a success before its probation is over",
            "breaker.probation must not be longer than restart.stable_after",
        );
    }
    let (server, control) = (&settings.server, settings.control.listen);
    if server.port != 0 && server.port == control.port() && server.host == control.ip() {
        reader.conflict(
            "control.listen",
            "server.port",
            "the server and the control API would listen on the same port",
            "two different ports, or 0 for a free one",
        );
    }
}
