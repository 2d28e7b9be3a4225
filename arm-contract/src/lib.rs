//! Checks recorded exchanges with Azure Resource Manager against Microsoft's OpenAPI 2.0 files.
//!
//! [`Contract::load`] looks through a folder of specifications, [`Contract::check`] says what is wrong with an
//! [`Exchange`], and a [`Collector`] does it for all exchanges of a test and keeps count of the operations exercised.
//!
//! Bodies are checked by a validator of this crate instead of a general one for JSON Schema: Microsoft's schemas live from
//! what JSON Schema has not (discriminators that lead to descendants in other files, `x-nullable`, `readOnly` and
//! `x-ms-mutability` by side, open and closed enumerations), and the three languages in which they come (OpenAPI 2.0, Bicep
//! types, template schemas) then need no more than a translation each into one model. It also says what is wrong in the
//! words of the specification, with a JSON pointer, and tells sloppiness from contradiction.

mod archive;
mod check;
mod collector;
mod common;
mod contract;
mod coverage;
mod deviations;
mod dialects;
mod documents;
mod exchange;
mod folder;
mod operation;
mod outcome;
mod resource;
mod shape;
mod template;
mod typed;
mod validate;

pub use archive::{ArchiveError, read_exchanges};
pub use collector::{Collector, Report, hold_to_specifications};
pub use contract::{Contract, ContractError, DescribedOperation};
pub use coverage::{Coverage, CoverageError, Filter};
pub use deviations::{DEVIATIONS, Deviation};
pub use exchange::Exchange;
pub use outcome::{Finding, Level, OperationKey, Outcome, Rule};
