//! `[[server]]`: the first of a list is the section `server`, the next one `server[1]`, and so on.

use figment::value::{Dict, Value};

/// The section of the first server, and of all when the keys of one are meant.
pub(super) const SECTION: &str = "server";

/// Whether there was a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// There was one, and its tables are sections now.
    List,
    /// There was none, or one that cannot be read as one.
    None,
}

/// Makes a section of each table in a list of servers.
pub(super) fn spread(values: &mut Dict) -> Spread {
    let is_list = |value: &Value| value.as_array().is_some_and(|it| !it.is_empty() && it.iter().all(is_table));
    if !values.get(SECTION).is_some_and(is_list) {
        return Spread::None;
    }
    let Some(Value::Array(_, items)) = values.remove(SECTION) else { return Spread::None };
    for (index, item) in items.into_iter().enumerate() {
        values.insert(if index == 0 { SECTION.to_owned() } else { format!("{SECTION}[{index}]") }, item);
    }
    Spread::List
}

/// The sections of the further servers in `values`, in their order.
pub(super) fn further(values: &Dict) -> Vec<String> {
    (1..).map(|index| format!("{SECTION}[{index}]")).take_while(|name| values.contains_key(name)).collect()
}

/// The section of the built-in configuration that says which keys a section has.
pub(super) fn schema(section: &str) -> &str {
    match section.strip_prefix(SECTION) {
        Some(rest) if rest.starts_with('[') && rest.ends_with(']') => SECTION,
        _ => section,
    }
}

fn is_table(value: &Value) -> bool {
    value.as_dict().is_some()
}
