//! Why a server went down: a report for every exit, kept in files, and told in plain words.
