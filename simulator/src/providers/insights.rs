//! Microsoft.Insights: the components that a workspace refers to.

use crate::resource_type::ResourceType;
use crate::routes::{Provider, tracked};

const VERSIONS: &[&str] = &["2015-05-01", "2020-02-02"];

const COMPONENT: ResourceType = ResourceType { kind: "Microsoft.Insights/components", ..ResourceType::DEFAULT };

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Insights",
    source: "nothing: no specification was at hand",
    missing: &["What a component fills in by itself: keys, application id, workspace"],
    types: &[COMPONENT],
    routes: &[tracked!("Microsoft.Insights/components", VERSIONS)],
};
