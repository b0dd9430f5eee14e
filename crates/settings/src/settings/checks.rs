//! What makes no sense although every section does by itself.

use std::net::SocketAddr;

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
    let same = |one: SocketAddr, other: SocketAddr| one.port() != 0 && one == other;
    if settings.gateway.listen.is_some_and(|gateway| same(gateway, settings.control.listen)) {
        reader.conflict(
            "control.listen",
            "gateway.listen",
            "the gateway and the control API would listen on the same port",
            "two different ports, or 0 for a free one",
        );
    }
    let server = SocketAddr::new(settings.server.host, settings.server.port);
    if settings.gateway.listen.is_some_and(|gateway| same(gateway, server)) {
        reader.conflict(
            "server.port",
            "gateway.listen",
            "the server and the gateway before it would listen on the same port",
            "leave server.port at 0: clients use gateway.listen",
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
