//! docs/deploy: what cannot be run without a container engine is read, and compared with what the pages promise.

use crate::harness::guests::{guest, repository, weir};
use crate::harness::job::Job;
use crate::harness::probes::{golden, understood};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Labels that Prometheus puts to what it scrapes.
const OF_THE_TARGET: &[&str] = &["instance", "job"];
/// Words between names in PromQL.
const KEYWORDS: &[&str] = &["by", "on", "ignoring", "without", "group_left", "group_right"];

fn read(file: &str) -> String {
    let path = repository().join("docs").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents(file: &str) -> Vec<Value> {
    serde_json::from_value(understood("yaml", &read(file))).unwrap()
}

fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get(key).and_then(Value::as_str));
            map.values().for_each(|value| strings(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| strings(value, key, found)),
        _ => {}
    }
}

/// Names, and strings in quotes, of an expression, in order.
fn tokens(expression: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), expression);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => rest[1..].find('"').map_or(rest.len(), |end| end + 2),
            c if c.is_ascii_alphabetic() || c == '_' || c == '$' => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_$:".contains(c))).unwrap_or(rest.len())
            }
            // A number takes its unit along.
            c if c.is_ascii_digit() => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        tokens.push(rest[..length].to_owned());
        rest = &rest[length..];
    }
    tokens.retain(|token| !token.trim().is_empty());
    tokens
}

/// What is wrong with the metrics and labels that an expression names.
fn problems(expression: &str) -> Vec<String> {
    let labels_of: BTreeMap<String, BTreeSet<String>> = golden()
        .iter()
        .flat_map(|metric| metric.sample_names().into_iter().map(|name| (name, metric.labels.clone())))
        .collect();
    let (mut problems, mut named, mut used) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let tokens = tokens(expression);
    let is_name = |token: &str| token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let mut at = 0;
    while at < tokens.len() {
        let next = tokens.get(at + 1).map(String::as_str);
        if KEYWORDS.contains(&tokens[at].as_str()) && next == Some("(") {
            let end = tokens[at..].iter().position(|token| token == ")").map_or(tokens.len(), |end| at + end);
            used.extend(tokens[at + 2..end].iter().filter(|token| is_name(token)).cloned());
            at = end;
        } else if is_name(&tokens[at])
            && (tokens[at].starts_with("weir_") || tokens[at].starts_with("process_"))
        {
            named.insert(tokens[at].clone());
            let Some(labels) = labels_of.get(&tokens[at]) else {
                problems.push(format!("there is no metric {}", tokens[at]));
                at += 1;
                continue;
            };
            if next == Some("{") {
                let end =
                    tokens[at..].iter().position(|token| token == "}").map_or(tokens.len(), |end| at + end);
                for label in tokens[at + 2..end].iter().filter(|token| is_name(token)) {
                    if !labels.contains(label) && label != "le" && !OF_THE_TARGET.contains(&label.as_str()) {
                        problems.push(format!("{} has no label {label}", tokens[at]));
                    }
                }
                at = end;
            }
        }
        at += 1;
    }
    if named.is_empty() {
        problems.push("it names no metric".to_owned());
    }
    let known: BTreeSet<&str> =
        named.iter().filter_map(|name| labels_of.get(name)).flatten().map(String::as_str).collect();
    let unknown = used
        .iter()
        .map(String::as_str)
        .filter(|label| !known.contains(label) && *label != "le" && !OF_THE_TARGET.contains(label));
    problems.extend(unknown.map(|label| format!("none of its metrics has a label {label}")));
    problems
}

#[test]
fn a_wrong_metric_or_label_is_found_in_an_expression() {
    for right in [
        "sum by (pipeline) (rate(weir_source_records_total{source=~\"a|b\"}[5m])) > 0.5",
        "process_open_fds / process_max_fds > 0.8 and on (instance) weir_build_info",
        "histogram_quantile(0.9, sum by (le) (rate(weir_checkpoint_duration_seconds_bucket[5m])))",
    ] {
        assert_eq!(problems(right), [""; 0], "{right}");
    }
    for wrong in [
        "rate(weir_source_records[5m])",
        "weir_source_records_total{operator=\"x\"}",
        "sum by (operator) (weir_source_records_total)",
        "up == 0",
        "weir_checkpoint_duration_seconds > 1",
    ] {
        assert_eq!(problems(wrong).len(), 1, "{wrong}: {:?}", problems(wrong));
    }
}

#[test]
fn alerts_and_dashboard_ask_only_for_metrics_and_labels_that_there_are() {
    let alerts = documents("deploy/alerts.yaml");
    let dashboard: Value = serde_json::from_str(&read("deploy/dashboard.json")).unwrap();
    let (mut of_alerts, mut of_dashboard, mut queries) = (Vec::new(), Vec::new(), Vec::new());
    alerts.iter().for_each(|document| strings(document, "expr", &mut of_alerts));
    strings(&dashboard["panels"], "expr", &mut of_dashboard);
    strings(&dashboard["templating"], "query", &mut queries);
    assert!(of_alerts.len() > 10 && of_dashboard.len() > 20, "{} {}", of_alerts.len(), of_dashboard.len());
    let all: Vec<String> = of_alerts
        .into_iter()
        .chain(of_dashboard)
        .map(|expression| expression.replace("$__rate_interval", "5m"))
        .collect();
    let mut wrong: Vec<String> =
        all.iter().flat_map(|of| problems(of).into_iter().map(move |why| format!("{of}: {why}"))).collect();
    let syntax = understood("promql", &json!(all).to_string());
    let syntax = syntax.as_array().unwrap().iter().zip(&all);
    wrong.extend(syntax.filter(|(why, _)| !why.is_null()).map(|(why, of)| format!("{of}: {why}")));
    for query in queries.iter().filter(|query| query.starts_with("label_values")) {
        let (metric, label) = query["label_values(".len()..].trim_end_matches(')').split_once(", ").unwrap();
        wrong.extend(problems(&format!("sum by ({label}) ({metric})")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_alert_has_its_entry_in_the_manual() {
    let alerts = documents("deploy/alerts.yaml");
    let rules = alerts[0]["groups"][0]["rules"].as_array().unwrap();
    let page = read("OPERATIONS.md");
    let section = page.split("## What each alert means").nth(1).unwrap().split("\n## ").next().unwrap();
    let entries: BTreeMap<&str, &str> =
        section.split("\n### ").skip(1).filter_map(|entry| entry.split_once('\n')).collect();
    let named: BTreeSet<&str> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(named, entries.keys().copied().collect(), "left: alerts.yaml, right: OPERATIONS.md");
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        let (labels, said) = (&rule["labels"], &rule["annotations"]);
        assert!(["critical", "warning", "info"].contains(&labels["severity"].as_str().unwrap()), "{name}");
        assert_eq!(said["runbook"], json!(format!("docs/OPERATIONS.md#{}", name.to_lowercase())), "{name}");
        assert!(said["summary"].is_string() && said["description"].is_string(), "{name}");
        for part in ["- Likely causes: ", "- What to do: ", "```text\n"] {
            assert!(entries[name].contains(part), "{name} has no {part:?}");
        }
    }
}

/// Seconds of a duration such as `90s`.
fn seconds(text: &str) -> u64 {
    text.strip_suffix('s').and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn pipeline_of_the_manifests() -> (String, toml::Table) {
    let config = documents("deploy/config.yaml");
    let text = config[0]["data"]["pipeline.toml"].as_str().unwrap().to_owned();
    let table = text.parse().unwrap();
    (text, table)
}

#[test]
fn the_manifests_keep_what_the_page_promises() {
    let (_, pipeline) = pipeline_of_the_manifests();
    let stop = seconds(pipeline["stop_timeout"].as_str().unwrap());
    let checkpoint = seconds(pipeline["checkpoint"]["timeout"].as_str().unwrap());
    let kinds = |file: &str| {
        documents(file).iter().map(|d| d["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("deploy/config.yaml"), ["ConfigMap", "Secret", "Service"]);
    for (file, kind) in [("deploy/statefulset.yaml", "StatefulSet"), ("deploy/deployment.yaml", "Deployment")]
    {
        let document = documents(file).remove(0);
        assert_eq!((&document["kind"], &document["apiVersion"]), (&json!(kind), &json!("apps/v1")), "{file}");
        let spec = &document["spec"];
        assert_eq!(spec["replicas"], 1, "{file}: a second copy fences the first");
        assert_eq!(spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"], "{file}");
        let pod = &spec["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(checkpoint < stop && stop < grace, "{file}: {checkpoint} {stop} {grace}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            (&pod["securityContext"]["runAsUser"], &pod["securityContext"]["fsGroup"]),
            (&json!(65532), &json!(65532))
        );
        assert_eq!(pod["automountServiceAccountToken"], false);
        let container = &pod["containers"][0];
        let limits = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
        assert_eq!(container["securityContext"], limits, "{file}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{file}");
        let image = container["image"].as_str().unwrap();
        assert!(image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest"), "{file}: {image}");
        for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            let get = &container[probe]["httpGet"];
            assert_eq!((&get["path"], &get["port"]), (&json!(path), &json!("probes")), "{file}");
        }
        let arguments: Vec<&str> =
            container["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let at = arguments.iter().position(|argument| *argument == "--probe-listen").unwrap();
        let port = arguments[at + 1].rsplit(':').next().unwrap().parse::<u64>().unwrap();
        assert_eq!(container["ports"], json!([{"name": "probes", "containerPort": port}]));
        assert_eq!(
            spec["template"]["metadata"]["annotations"]["prometheus.io/port"],
            json!(port.to_string())
        );
        volumes_fit(file, spec, pod, container);
    }
    let stateful = documents("deploy/statefulset.yaml").remove(0);
    assert_eq!(stateful["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], "data");
    assert_eq!(stateful["spec"]["serviceName"], documents("deploy/config.yaml")[2]["metadata"]["name"]);
    let stateless = documents("deploy/deployment.yaml").remove(0);
    assert_eq!(stateless["spec"]["strategy"], json!({"type": "Recreate"}));
}

/// Every mount has its volume, and only the data directory can be written to.
fn volumes_fit(file: &str, spec: &Value, pod: &Value, container: &Value) {
    let names = |of: &Value, path: &str| -> BTreeSet<String> {
        let items = of.as_array().into_iter().flatten();
        items.map(|item| item.pointer(path).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let mut volumes = names(&pod["volumes"], "/name");
    volumes.extend(names(&spec["volumeClaimTemplates"], "/metadata/name"));
    assert_eq!(names(&container["volumeMounts"], "/name"), volumes, "{file}");
    let mounts = container["volumeMounts"].as_array().unwrap();
    let written: Vec<&Value> = mounts
        .iter()
        .filter(|mount| mount["readOnly"] != json!(true))
        .map(|mount| &mount["mountPath"])
        .collect();
    assert_eq!(written, [&json!("/var/lib/weir")], "{file}");
}

#[test]
fn the_pipeline_file_of_the_manifests_is_valid() {
    let (text, _) = pipeline_of_the_manifests();
    let mut job = Job::local("deployed");
    let secret = job.path("kafka-password");
    std::fs::write(&secret, "secret").unwrap();
    job.text = text
        .replace("/etc/weir/secret/kafka-password", &secret.display().to_string())
        .replace("/operators/count_by_key.wasm", &guest("count_by_key"));
    let file = job.path("pipeline.toml");
    std::fs::write(&file, &job.text).unwrap();
    let output = Command::new(weir()).arg("validate").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Instructions of a Dockerfile: each with all of its lines, without comments.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.trim().split_once(' '));
    lines.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

/// The libraries that the dynamic linker loads for the binary, by path.
pub fn libraries() -> Vec<String> {
    let output = Command::new("ldd").arg(weir()).output().expect("ldd, which comes with the C library");
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(str::to_owned).collect()
}

#[test]
fn the_image_is_pinned_has_each_library_that_the_binary_needs_and_no_root() {
    let all = instructions(&read("deploy/Dockerfile"));
    let of =
        |word: &str| all.iter().filter(|(w, _)| w == word).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>();
    let toolchain: toml::Table =
        std::fs::read_to_string(repository().join("rust-toolchain.toml")).unwrap().parse().unwrap();
    let version = toolchain["toolchain"]["channel"].as_str().unwrap();
    let images = of("FROM");
    assert_eq!(images.len(), 2, "one builds, one runs: {images:?}");
    assert!(images[0].starts_with(&format!("rust:{version}-")), "{images:?}");
    for image in images {
        let tag = image.split(' ').next().unwrap().split_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| !tag.contains("latest")), "{image}");
    }
    let user = of("USER");
    let numeric = |user: &str| user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0));
    assert!(user.len() == 1 && numeric(user[0]), "{user:?}");
    assert_eq!(
        of("ENTRYPOINT"),
        ["[\"/usr/local/bin/weir\"]"],
        "a shell in front of it would take the signals"
    );
    assert_eq!(of("STOPSIGNAL"), ["SIGTERM"]);
    assert!(of("ADD").is_empty() && of("HEALTHCHECK").is_empty());
    let installed = *of("RUN").last().unwrap();
    let installed: BTreeSet<&str> = installed.split_whitespace().collect();
    for library in libraries() {
        let package = package(&library);
        // The C library is in every image of Debian.
        assert!(
            package == "libc6" || installed.contains(package.as_str()),
            "{library} is in {package}, which the image does not install"
        );
    }
}

/// The package of Debian that holds a library.
fn package(library: &str) -> String {
    let plain = library.strip_prefix("/usr").unwrap_or(library).to_owned();
    for path in [plain.clone(), format!("/usr{plain}")] {
        let output = Command::new("dpkg-query")
            .args(["-S", &path])
            .output()
            .expect("a machine with Debian's packages");
        if output.status.success() {
            let text = String::from_utf8(output.stdout).unwrap();
            return text.split(':').next().unwrap().trim_end_matches("t64").to_owned();
        }
    }
    panic!("no package of Debian holds {library}");
}
