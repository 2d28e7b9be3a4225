//! Every duration the operator waits for, in one place.

use std::time::Duration;

use crate::plan::looks::Looks;
use crate::plan::proof::Waits;

/// How long everything takes. Tests run the same code with all of it divided by a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two looks at something that is as declared; up to a tenth is taken off, so that objects spread out.
    pub resync: Duration,
    /// Between two looks at something that moves, where Azure does not say.
    pub poll: Duration,
    /// Between two looks at something that waits for a person.
    pub slow: Duration,
    /// The first wait after a failure; it doubles each time …
    pub backoff_first: Duration,
    /// … up to this.
    pub backoff_last: Duration,
    /// How long ARM must have been at rest before a request without an answer is believed lost.
    pub rest: Duration,
    /// How long a connection that Azure shows as being worked on keeps others on its target waiting, at the most.
    pub settling: Duration,
    /// How long an approval that never showed is still expected to take effect.
    pub late: Duration,
    /// How long after an approval the requester's side may still show that it waits.
    pub silence: Duration,
    /// From the end of a policy to the withdrawal of what it approved, where the policy does not say.
    pub withdrawal_grace: Duration,
    /// How long Azure usually takes to create, change or delete something.
    pub usual_change: Duration,
    /// How long Azure usually takes to build a managed network, or to change one that is built.
    pub usual_building: Duration,
    /// Between two tries of a rule that ARM refused.
    pub rule_retry: Duration,
    /// Between two looks at role assignments while a role is missing.
    pub role_recheck: Duration,
    /// How long a role that was seen is believed.
    pub role_memory: Duration,
    /// How long after its assignment a role may not be in effect yet: refusals say nothing until then.
    pub role_effective: Duration,
    /// Between the two lists of a target that must show one and the same connection of a Synapse link.
    pub handshake: Duration,
    /// How long a role that is assigned for a time stays assigned at the most.
    pub role_deadline: Duration,
    /// How long after a rule's deletion its workspace is asked for, to tell a pruned rule from a vanishing workspace.
    pub workspace_grace: Duration,
    /// The window in which removals count as many at once.
    pub breaker_window: Duration,
    /// How long changes of a connection's users gather before its status says so.
    pub gather: Duration,
    /// Between two looks at a target's connections, and at a group's resources, while nothing is expected: how long a request
    /// waits for its policy at the most.
    pub connections: Duration,
    /// Between two looks at a target's connections while one is expected or moves.
    pub expected: Duration,
    /// How long after the admission policy for decisions was first seen it is sure to be asked by every API server.
    pub guard_settling: Duration,
    /// How long a lane's guest waits before it asks again.
    pub lane: Duration,
    /// How long one request to the API server may take.
    pub kubernetes_call: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            resync: seconds(3600),
            poll: seconds(15),
            slow: seconds(300),
            backoff_first: seconds(5),
            backoff_last: seconds(600),
            // ARM gives a provider 60 s before it answers 504 (ARM RPC, common-api-details); a half more for the way.
            rest: seconds(90),
            settling: seconds(3600),
            late: seconds(24 * 3600),
            silence: seconds(120),
            withdrawal_grace: seconds(3600),
            usual_change: seconds(600),
            usual_building: seconds(1800),
            rule_retry: seconds(600),
            role_recheck: seconds(60),
            role_memory: seconds(12 * 3600),
            // Assignments take up to ten minutes to take effect (Microsoft: "Troubleshoot Azure RBAC").
            role_effective: seconds(600),
            handshake: seconds(30),
            role_deadline: seconds(3600),
            workspace_grace: seconds(10),
            breaker_window: seconds(600),
            gather: seconds(2),
            // A subscription's bucket refills by 25 reads a second: a thousand targets at rest take three of them, and a hundred
            // on which something is expected take twenty.
            connections: seconds(300),
            expected: seconds(5),
            // An API server takes a new admission policy into use within 7 s (tried on 1.36); several, and a slow one, within 30.
            guard_settling: seconds(30),
            lane: Duration::from_millis(200),
            kubernetes_call: seconds(10),
        }
    }
}

impl Pace {
    /// How long proofs of approvals take.
    pub fn proofs(&self) -> Waits {
        Waits { rest: self.rest, settling: self.settling, late: self.late, silence: self.silence }
    }

    /// How often targets are looked at.
    pub fn looks(&self) -> Looks {
        Looks { soon: self.expected, rest: self.connections }
    }

    /// How often requesting endpoints are read.
    pub fn questions(&self) -> Looks {
        Looks { soon: self.poll, rest: self.slow }
    }

    /// The same with all waits multiplied by `factor`, which is for trying things out against a simulator. The limit on
    /// requests to the API server stays: it is no wait.
    pub fn scaled(self, factor: f64) -> Self {
        let by = |wait: Duration| wait.mul_f64(factor.clamp(0.0001, 100.0));
        Self {
            resync: by(self.resync),
            poll: by(self.poll),
            slow: by(self.slow),
            backoff_first: by(self.backoff_first),
            backoff_last: by(self.backoff_last),
            rest: by(self.rest),
            settling: by(self.settling),
            late: by(self.late),
            silence: by(self.silence),
            withdrawal_grace: by(self.withdrawal_grace),
            usual_change: by(self.usual_change),
            usual_building: by(self.usual_building),
            rule_retry: by(self.rule_retry),
            role_recheck: by(self.role_recheck),
            role_memory: by(self.role_memory),
            role_effective: by(self.role_effective),
            handshake: by(self.handshake),
            role_deadline: by(self.role_deadline),
            workspace_grace: by(self.workspace_grace),
            breaker_window: by(self.breaker_window),
            gather: by(self.gather),
            connections: by(self.connections),
            expected: by(self.expected),
            guard_settling: by(self.guard_settling),
            lane: by(self.lane),
            kubernetes_call: self.kubernetes_call,
        }
    }
}
