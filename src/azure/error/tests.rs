use serde_json::json;

use super::*;

fn class(status: u16, code: &str, message: &str) -> ErrorClass {
    answer(status, json!({"error": {"code": code, "message": message}})).class
}

fn answer(status: u16, body: Value) -> ArmError {
    ArmError::from_answer(status, body.to_string().as_bytes(), "/subscriptions/s/resourceGroups/rg/providers/P/ts/n")
}

#[test]
fn codes_mean_what_the_table_says() {
    use ErrorClass as C;
    for (status, code, expected) in [
        (429, "SubscriptionRequestsThrottled", C::Throttled),
        (429, "TooManyRequests", C::Throttled),
        (503, "TooManyRequests", C::Throttled),
        (429, "RetryableErrorDueToAnotherOperation", C::Busy),
        (409, "AnotherOperationInProgress", C::Busy),
        (409, "StorageAccountOperationInProgress", C::Busy),
        (409, "NeverHeardOf", C::Busy),
        (500, "NeverHeardOf", C::Transient),
        (408, "", C::Transient),
        (403, "AuthorizationFailed", C::Forbidden),
        (403, "linkedauthorizationfailed", C::Forbidden),
        (403, "RequestDisallowedByPolicy", C::PolicyDenied),
        (409, "ScopeLocked", C::Locked),
        (409, "MissingSubscriptionRegistration", C::NotRegistered),
        (400, "PrincipalNotFound", C::PrincipalNotReady),
        (409, "RoleAssignmentExists", C::Exists),
        (409, "StorageAccountAlreadyTaken", C::Exists),
        (409, "VaultAlreadyExists", C::Exists),
        (409, "AlreadyInUse", C::Exists),
        (412, "PreconditionFailed", C::Precondition),
        (412, "NeverHeardOf", C::Precondition),
        (400, "ResourceQuotaExceeded", C::Quota),
        (400, "NeverHeardOf", C::Validation),
        (404, "TNotFound", C::NotFound),
        (404, "NeverHeardOf", C::Unknown),
        (418, "NeverHeardOf", C::Unknown),
        (401, "AuthorizationFailed", C::Unauthenticated),
    ] {
        assert_eq!(class(status, code, "text"), expected, "{status} {code}");
    }
}

#[test]
fn the_missing_approver_role_is_told_by_its_text_however_deep() {
    for message in [
        "User does not have permission to approve private link connections to resource: /subscriptions/s/x",
        "Workspace managed identity don't have required permissions to read and approve private endpoint connections",
    ] {
        for code in ["UserError", "ValidationError", "BadRequest"] {
            assert_eq!(class(400, code, message), ErrorClass::ApproverRoleMissing);
        }
        let hidden = json!({"error": {"code": "UserError", "message": message}}).to_string();
        let wrapped = json!({"status": "Failed", "error": {"code": "DeploymentFailed", "message": "At least one failed.",
            "details": [{"code": "BadRequest", "message": format!("\r\n{hidden}")}]}});
        let error = ArmError::from_operation("Failed", wrapped.get("error"));
        assert_eq!(error.class, ErrorClass::ApproverRoleMissing);
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn an_envelope_s_class_is_that_of_what_it_holds() {
    let nested = |code: &str| {
        answer(
            400,
            json!({"error": {"code": "InvalidTemplateDeployment", "message": "see inner", "target": "t",
            "details": [{"code": "BadRequest", "message": "outer", "details": [{"code": code, "message": "the real one"}]}]}}),
        )
    };
    let error = nested("ScopeLocked");
    assert_eq!((error.class, error.target.as_deref()), (ErrorClass::Locked, Some("t")));
    assert_eq!(error.details.len(), 2);
    assert_eq!(error.to_string(), "InvalidTemplateDeployment: see inner [ScopeLocked: the real one] (HTTP 400)");
    assert_eq!(nested("NeverHeardOf").class, ErrorClass::Validation);
    let policy = answer(
        403,
        json!({"error": {"code": "RequestDisallowedByPolicy", "message": "denied by policy",
        "additionalInfo": [{"type": "PolicyViolation", "info": {"policyAssignmentDisplayName": "No public workspaces"}}]}}),
    );
    assert_eq!(&*policy.details, [("PolicyViolation".to_owned(), "No public workspaces".to_owned())]);
    let retryable = ArmError::from_operation(
        "Failed",
        Some(&json!({"code": "RetryableError", "message": "m",
        "details": [{"code": "ReferencedResourceNotProvisioned", "message": "d"}]})),
    );
    assert_eq!(retryable.class, ErrorClass::Busy);
}

#[test]
fn a_failed_operation_s_bad_input_is_validation_and_the_rest_is_not() {
    assert_eq!(ArmError::from_failure("ValidationError", "rule x is wrong").class, ErrorClass::Validation);
    assert_eq!(ArmError::from_failure("NeverHeardOf", "m").class, ErrorClass::Unknown);
    assert_eq!(ArmError::from_failure("InternalServerError", "m").class, ErrorClass::Transient);
    assert!(!ArmError::from_failure("InternalServerError", "m").outcome_unknown());
}

#[test]
fn other_shapes_and_garbage_still_give_a_line() {
    let cases: [(&[u8], &str); 8] = [
        (br#"{"code":"X","message":"bare"}"#, "X: bare (HTTP 500)"),
        (br#"{"Error":1,"Message":"dotnet"}"#, "NoCode: dotnet (HTTP 500)"),
        (br#"{"error":"invalid_request","error_description":"d"}"#, "invalid_request: d (HTTP 500)"),
        (b"", "Http500: an answer without an error description (HTTP 500)"),
        (b"<html>\n<b>oops</b></html>", "Http500: an answer that is not ARM's: <html> <b>oops</b></html> (HTTP 500)"),
        (b"[1,2]", "Http500: an answer that is not ARM's: [1,2] (HTTP 500)"),
        (b"{\"error\":{\"code\":5}}", "Http500: an answer that is not ARM's: {\"error\":{\"code\":5}} (HTTP 500)"),
        (b"\xff\xfe\x00", "Http500: an answer that is not ARM's: \u{fffd}\u{fffd} (HTTP 500)"),
    ];
    for (body, line) in cases {
        let error = ArmError::from_answer(500, body, "/x");
        assert_eq!(error.to_string(), line);
        assert_eq!(error.class, ErrorClass::Transient);
    }
}

#[test]
fn hostile_errors_stay_small_and_plain() {
    let mut deep = json!({"code": "Deep", "message": "m"});
    for _ in 0..50 {
        let mut details = vec![deep];
        details.extend(std::iter::repeat_n(json!({"code": "c", "message": "y".repeat(2000)}), 4));
        deep = json!({"code": "Deep", "message": "m\u{1b}[31m\r\n\u{202e}x", "details": details});
    }
    let error = answer(400, json!({"error": deep}));
    assert_eq!(error.message, "m [31m x");
    assert!(error.details.len() <= 16);
    assert!(error.details.iter().all(|(_, message)| message.len() <= 1024));
    let long = answer(400, json!({"error": {"code": "c".repeat(500), "message": "é".repeat(5000)}}));
    assert!(long.message.len() <= 1024 && long.message.ends_with('…') && long.code.len() <= 128);
}
