//! The members of [`Attached`](super::Attached) that only name fields, which all kinds spell alike.

/// Implements `station`, `shared` and `said` for a kind with this status, whose objects are kept at this station.
macro_rules! fields {
    ($status:ty, $station:ident) => {
        fn station(context: &$crate::runtime::context::Context) -> &$crate::runtime::station::Station<Self> {
            &context.indexes.stations.$station
        }

        fn shared(status: &mut $status) -> $crate::controllers::attached::Shared<'_> {
            $crate::controllers::attached::Shared {
                connection: &mut status.connection,
                operations: &mut status.operations,
                would_write: &mut status.would_write,
                drift: &mut status.drift,
            }
        }

        fn said(status: &$status) -> (&[$crate::api::operation::Operation], Option<&str>) {
            (&status.operations, status.connection.as_deref())
        }
    };
}

pub(crate) use fields;
