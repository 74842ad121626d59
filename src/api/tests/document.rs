//! The `OpenAPI` document against real answers.

use super::*;

#[tokio::test]
async fn the_document_describes_what_is_really_answered() {
    let (router, _rig) = setup(60);
    let document = get(&router, "/openapi.json").await.json();
    let list = get(&router, "/api/v1/signatures?limit=1").await.json();
    let id = list["rows"][0]["id"].as_str().unwrap().to_owned();
    for (path, url) in [
        (
            "/api/v1/signatures",
            "/api/v1/signatures?limit=500".to_owned(),
        ),
        (
            "/api/v1/signatures/{id}",
            format!("/api/v1/signatures/{id}"),
        ),
        (
            "/api/v1/signatures/{id}/history",
            format!("/api/v1/signatures/{id}/history?by=group"),
        ),
        ("/api/v1/new", "/api/v1/new?since=1.27.0-wmf.10".to_owned()),
        (
            "/api/v1/gate",
            "/api/v1/gate?version=1.27.0-wmf.11&group=group0".to_owned(),
        ),
        (
            "/api/v1/gate/{id}",
            "/api/v1/gate/0000000000000000".to_owned(),
        ),
        ("/api/v1/gates", "/api/v1/gates".to_owned()),
        ("/api/v1/planned", "/api/v1/planned".to_owned()),
        (
            "/api/v1/deploys/{marker}/fix",
            "/api/v1/deploys/wmf.11-group1/fix".to_owned(),
        ),
        ("/api/v1/rollouts", "/api/v1/rollouts".to_owned()),
        (
            "/api/v1/timeline",
            "/api/v1/timeline?severity=info".to_owned(),
        ),
        ("/api/v1/channels", "/api/v1/channels".to_owned()),
        (
            "/api/v1/doctor",
            "/api/v1/doctor?channel=session".to_owned(),
        ),
        ("/api/v1/releases", "/api/v1/releases".to_owned()),
        ("/api/v1/deploys", "/api/v1/deploys".to_owned()),
        ("/api/v1/alerts", "/api/v1/alerts".to_owned()),
        ("/api/v1/accounting", "/api/v1/accounting".to_owned()),
        ("/api/v1/status", "/api/v1/status".to_owned()),
        ("/-/ready", "/-/ready".to_owned()),
    ] {
        let schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"].clone();
        assert!(schema.is_object(), "{path} has no schema");
        let answer = get(&router, &url).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        let mut problems = Vec::new();
        validate(&document, &schema, &answer.json(), path, &mut problems);
        assert!(problems.is_empty(), "{problems:#?}");
    }
    let error = get(&router, "/api/v1/new?since=nothing").await;
    assert_eq!(error.status, StatusCode::NOT_FOUND);
    let schema =
        document["paths"]["/api/v1/new"]["get"]["responses"]["404"]["content"]["application/json"]
            ["schema"]
            .clone();
    let mut problems = Vec::new();
    validate(&document, &schema, &error.json(), "error", &mut problems);
    assert!(problems.is_empty(), "{problems:#?}");
}

/// Checks a value against a schema: types, required fields, and no field that the schema does not name.
fn validate(document: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(&Value::Null);
        assert!(target.is_object(), "{reference} is not in the document");
        return validate(document, target, value, at, problems);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema[key].as_array() {
            let fits = options.iter().any(|it| {
                let mut inner = Vec::new();
                validate(document, it, value, at, &mut inner);
                inner.is_empty()
            });
            if !fits {
                problems.push(format!("{at}: fits no option of {key}: {value}"));
            }
            return;
        }
    }
    let parts = flatten(document, schema);
    if parts.is_empty() {
        return check_plain(document, schema, value, at, problems);
    }
    let Some(object) = value.as_object() else {
        problems.push(format!("{at}: no object: {value}"));
        return;
    };
    for (name, (schema, required)) in &parts {
        match object.get(name) {
            Some(value) => validate(document, schema, value, &format!("{at}.{name}"), problems),
            None if *required => problems.push(format!("{at}.{name}: missing")),
            None => {}
        }
    }
    for name in object.keys().filter(|it| !parts.contains_key(*it)) {
        problems.push(format!("{at}.{name}: not in the document"));
    }
}

/// Collects the properties of an object schema and of those that it includes.
fn flatten(document: &Value, schema: &Value) -> std::collections::BTreeMap<String, (Value, bool)> {
    let mut out = std::collections::BTreeMap::new();
    if let Some(reference) = schema["$ref"].as_str() {
        return flatten(
            document,
            document.pointer(reference.trim_start_matches('#')).unwrap(),
        );
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        out.extend(flatten(document, part));
    }
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        out.insert(
            name.clone(),
            (property.clone(), required.contains(&name.as_str())),
        );
    }
    out
}

fn check_plain(
    document: &Value,
    schema: &Value,
    value: &Value,
    at: &str,
    problems: &mut Vec<String>,
) {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let fits = types.iter().any(|it| match *it {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    });
    if !fits {
        problems.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        problems.push(format!("{at}: {value} is not in {known:?}"));
    }
    if schema["format"] == "date-time" && value.is_string() {
        let ok = value
            .as_str()
            .and_then(crate::model::EventTime::parse_rfc3339)
            .is_some();
        if !ok {
            problems.push(format!("{at}: {value} is no time"));
        }
    }
    for (idx, item) in value.as_array().into_iter().flatten().enumerate() {
        validate(
            document,
            &schema["items"],
            item,
            &format!("{at}[{idx}]"),
            problems,
        );
    }
    for item in value.as_object().into_iter().flat_map(|it| it.values()) {
        validate(
            document,
            &schema["additionalProperties"],
            item,
            at,
            problems,
        );
    }
}
