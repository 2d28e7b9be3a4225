//! The Spark pool that a notebook runs on: made only on request, else found.

use serde_json::{Value, json};

use crate::api::OWNER_TAG;
use crate::api::connection::Verb;
use crate::api::synapse_link::SparkPoolRequest;
use crate::azure::synapse::{API_VERSION, SparkPool};
use crate::plan::difference::Difference;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::ownership::{Claim, Origin};
use crate::plan::step::Step;

use super::{SynapseInput, pool_of};

/// The smallest size that a pool can have, and its least number of nodes (Microsoft: "Apache Spark pool configurations").
const SIZE: &str = "Small";
const FAMILY: &str = "MemoryOptimized";
const NODES: u8 = 3;
/// After how many idle minutes it stops, where the object does not say: what the portal proposes.
const PAUSE: u16 = 15;

/// What is to be said and done about the pool.
#[derive(Default)]
pub(super) struct Judged {
    /// A pool that notebooks can run on.
    pub(super) name: Option<String>,
    /// What stops the one that was asked for.
    pub(super) verdict: Option<Verdict>,
    pub(super) steps: Vec<Step>,
    pub(super) differences: Vec<Difference>,
}

pub(super) fn judge(input: &SynapseInput<'_>) -> Judged {
    let pools = &input.observed.pools;
    let usable = |pool: &&SparkPool| !pool.is_moving() && !pool.has_failed();
    let Some(request) = &input.spec.spark_pool else {
        let name = pools.iter().filter(usable).map(|pool| pool.name.clone()).min();
        return Judged { name, ..Judged::default() };
    };
    let id = match pool_of(input.spec, input.synapse) {
        Ok(Some(id)) => id,
        Ok(None) => return Judged::default(),
        Err(verdict) => return Judged { verdict: Some(verdict), ..Judged::default() },
    };
    let owner = input.site.owner;
    let location = input.observed.synapse.as_ref().and_then(|synapse| synapse.location.clone()).unwrap_or_default();
    let body = |tags: Value| {
        json!({ "location": location, "tags": tags, "properties": {
            "nodeSize": SIZE, "nodeSizeFamily": FAMILY, "nodeCount": NODES, "sparkVersion": request.spark_version,
            "autoPause": { "enabled": true, "delayInMinutes": minutes(request) },
        }})
    };
    let Some(pool) = pools.iter().find(|pool| pool.name.eq_ignore_ascii_case(&request.azure_name)) else {
        let verdict = Verdict::new(Reason::Creating, format!("Azure is making the Spark pool {}", request.azure_name));
        let body = body(json!({ OWNER_TAG: owner.tag(Origin::Created) }));
        let step = Step::put(&id, API_VERSION, body, verdict.clone()).needing(Verb::Create, &id);
        let missing = Difference::of(format!("bigDataPools/{}", request.azure_name), None, "present");
        return Judged { verdict: Some(verdict), steps: vec![step], differences: vec![missing], ..Judged::default() };
    };
    if pool.is_moving() {
        let verdict = Verdict::new(Reason::Updating, format!("Azure is at work on the Spark pool {}", pool.name));
        return Judged { verdict: Some(verdict), ..Judged::default() };
    }
    let name = usable(&pool).then(|| pool.name.clone());
    let found = differences(request, pool);
    let tagged = |tag: &str| {
        let mut tags = pool.tags.clone().unwrap_or_default();
        tags.retain(|key, _| !key.eq_ignore_ascii_case(OWNER_TAG));
        tags.insert(OWNER_TAG.to_owned(), tag.to_owned());
        json!(tags)
    };
    let take = |tag: &str| {
        let verdict = Verdict::new(Reason::Updating, format!("the Spark pool {} is being taken over", pool.name));
        let step = Step::patch(&id, API_VERSION, json!({ "tags": tagged(tag) }), verdict).needing(Verb::Create, &id);
        Judged { name: name.clone(), verdict: Some(step.verdict.clone()), steps: vec![step], ..Judged::default() }
    };
    let own = pool.tag(OWNER_TAG).unwrap_or_default().to_owned();
    match input.site.claim(pool.tag(OWNER_TAG), &input.policies) {
        Claim::Ours => {}
        Claim::Take(tag) => return take(&tag),
        Claim::TakeIfMatching(tag) if found.is_empty() => return take(&tag),
        Claim::TakeIfMatching(_) => {
            let changes: Vec<String> = found.iter().map(Difference::change).collect();
            let message =
                format!("the Spark pool {} exists and is not as declared ({})", pool.name, changes.join("; "));
            let verdict = Verdict::new(Reason::AdoptionRefused, message);
            return Judged { name, verdict: Some(verdict), ..Judged::default() };
        }
        Claim::Refused(verdict) => {
            let message = format!("the Spark pool {}: {}", pool.name, verdict.message);
            return Judged { name, verdict: Some(Verdict { message, ..verdict }), ..Judged::default() };
        }
    }
    if found.is_empty() && !pool.has_failed() {
        return Judged { name, ..Judged::default() };
    }
    let verdict = Verdict::new(Reason::Updating, format!("Azure is changing the Spark pool {}", pool.name));
    let step = Step::put(&id, API_VERSION, body(tagged(&own)), verdict.clone()).needing(Verb::Create, &id);
    let steps = vec![step.changing(&found)];
    Judged { name, verdict: Some(verdict), steps, differences: found }
}

fn minutes(request: &SparkPoolRequest) -> u16 {
    request.auto_pause_minutes.unwrap_or(PAUSE)
}

/// Where the pool is not as asked for: in what costs money, and in what is asked for by name.
fn differences(request: &SparkPoolRequest, pool: &SparkPool) -> Vec<Difference> {
    let properties = &pool.properties;
    let field = |name: &str| format!("bigDataPools/{}.{name}", pool.name);
    let mut found = Vec::new();
    let mut compare = |name: &str, shown: Option<String>, wanted: &str| {
        if !shown.as_deref().is_some_and(|shown| shown.eq_ignore_ascii_case(wanted)) {
            found.push(Difference::of(field(name), shown.as_deref(), wanted));
        }
    };
    let pause = properties.auto_pause.clone().unwrap_or_default();
    compare("nodeSize", properties.node_size.clone(), SIZE);
    compare("sparkVersion", properties.spark_version.clone(), &request.spark_version);
    compare("autoPause.enabled", Some(pause.enabled.unwrap_or(false).to_string()), "true");
    let delay = pause.delay_in_minutes.map(|minutes| minutes.to_string());
    compare("autoPause.delayInMinutes", delay, &minutes(request).to_string());
    found
}
