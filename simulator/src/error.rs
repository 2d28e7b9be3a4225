//! ARM's error envelope, and the errors that every provider shares.

use serde_json::{Value, json};

use crate::ids;

/// What ARM answers instead of a result: a status code and `{"error": {"code", "message"}}` (ARM RPC, error response).
#[derive(Clone, Debug)]
pub(crate) struct ArmError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// What lies behind it, each with a code and a message of its own.
    pub(crate) details: Vec<(&'static str, String)>,
    /// Further members of the envelope's `error`; boxed, because hardly any error has them and every answer carries one.
    pub(crate) members: Option<Box<Value>>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl ArmError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            details: Vec::new(),
            members: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn with_detail(mut self, code: &'static str, message: impl Into<String>) -> Self {
        self.details.push((code, message.into()));
        self
    }

    /// With further members in the envelope's `error`: `target`, `additionalInfo`.
    pub(crate) fn with_members(mut self, members: Value) -> Self {
        self.members = Some(Box::new(members));
        self
    }

    /// The `error` member alone, as an operation's status shows it.
    pub(crate) fn detail(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if !self.details.is_empty() {
            let shown = |(code, message): &(&str, String)| json!({ "code": code, "message": message });
            error["details"] = self.details.iter().map(shown).collect();
        }
        for (name, value) in self.members.iter().filter_map(|members| members.as_object()).flatten() {
            error[name] = value.clone();
        }
        error
    }

    pub(crate) fn envelope(&self) -> Value {
        json!({ "error": self.detail() })
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The code under which AML refuses what is well-formed but not allowed.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "Conflict", message)
    }

    /// A bearer token that is not accepted, with the header by which clients learn where to get another one.
    pub(crate) fn bad_token(base: &str, code: &str, message: &str) -> Self {
        Self::new(401, code, message).with_header(
            "WWW-Authenticate",
            format!("Bearer authorization_uri=\"{base}\", error=\"invalid_token\", error_description=\"{message}\""),
        )
    }

    /// A token that has run out. Chosen: code and sentence, as users of ARM quote them without the times.
    pub(crate) fn expired_token(base: &str) -> Self {
        Self::bad_token(base, "ExpiredAuthenticationToken", "The access token expiry is in the past.")
    }

    /// Text and header as seen in public recordings of azure-ai-ml.
    pub(crate) fn not_found(id: &str) -> Self {
        let what = ids::provider_path(id).unwrap_or(id);
        let group = ids::resource_group(id).unwrap_or_default();
        Self::new(
            404,
            "ResourceNotFound",
            format!(
                "The Resource '{what}' under resource group '{group}' was not found. For more details please go to \
                 https://aka.ms/ARMResourceNotFoundFix"
            ),
        )
        .with_header("x-ms-failure-cause", "gateway")
    }

    /// No provider serves this type, or not in this version.
    pub(crate) fn invalid_type(kind: &str, api_version: &str) -> Self {
        let message = format!("The resource type '{kind}' could not be found for api version '{api_version}'.");
        Self::new(404, "InvalidResourceType", message)
    }

    /// A child was written whose parent is not there.
    pub(crate) fn parent_not_found(parent: &str) -> Self {
        let message = format!(
            "Failed to perform 'write' on resource(s) of type '{}', because the parent resource '{parent}' could not be \
             found.",
            ids::resource_type(parent).unwrap_or_default()
        );
        Self::new(404, "ParentResourceNotFound", message)
    }

    pub(crate) fn group_not_found(group: &str) -> Self {
        Self::new(404, "ResourceGroupNotFound", format!("Resource group '{group}' could not be found."))
            .with_header("x-ms-failure-cause", "gateway")
    }

    pub(crate) fn subscription_not_found(subscription: &str) -> Self {
        Self::new(404, "SubscriptionNotFound", format!("The subscription '{subscription}' could not be found."))
            .with_header("x-ms-failure-cause", "gateway")
    }
}
