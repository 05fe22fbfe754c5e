//! ONNX Runtime's errors in words for a user.
//!
//! Comes in: an error of the runtime. Goes out: its message without the place in the runtime's source and without the C++
//! signature that it begins with; for a model that is newer than the runtime, what the runtime reads and what mends it.

use anyhow::anyhow;

use crate::inference::library;

/// The error as one that can cross threads. A builder's error holds the builder, which cannot.
pub(super) fn plain<R>(error: ort::Error<R>) -> anyhow::Error {
    anyhow!("{}", without_signatures(error.message()))
}

/// The same, for loading a model.
pub(super) fn of_loading(error: ort::Error) -> anyhow::Error {
    let message = without_signatures(error.message());
    match newer(&message) {
        Some((has, reads)) => anyhow!(
            "the model is newer than {}: it has {has}, the library reads up to {reads}. Install a newer ONNX Runtime \
             ('pip install --upgrade onnxruntime'), or export the model with {reads}",
            library::in_use()
        ),
        None => anyhow!("{message}"),
    }
}

/// What a refused model has, and what the runtime reads.
fn newer(message: &str) -> Option<(String, String)> {
    let number = |after: &str| {
        let rest = &message[message.find(after)? + after.len()..];
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    };
    if let (Some(has), Some(reads)) = (number("model IR version:"), number("supported IR version:")) {
        return Some((format!("IR version {has}"), format!("IR version {reads}")));
    }
    let (has, reads) = (number("Opset ")?, number("is till opset ")?);
    Some((format!("opset {has}"), format!("opset {reads}")))
}

/// Without every `FILE.cc:LINE SIGNATURE(...) ` in it.
fn without_signatures(message: &str) -> String {
    let mut text = message.to_owned();
    while let Some((begin, end)) = signature(&text) {
        text.replace_range(begin..end, "");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Bytes of the first place in a C++ source, with the signature that follows it.
fn signature(text: &str) -> Option<(usize, usize)> {
    let endings = [".cc:", ".h:", ".cpp:", ".hpp:", ".cu:", ".cuh:"];
    let (dot, ending) = endings.iter().filter_map(|e| Some((text.find(e)?, e))).min()?;
    let begin = text[..dot].rfind([' ', '\n', ':', '(', '\'']).map_or(0, |i| i + 1);
    let after = dot + ending.len();
    let digits = text[after..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        // A file name in a sentence: the colon is punctuation. Later places are looked for behind it.
        return signature(&text[after..]).map(|(begin, end)| (after + begin, after + end));
    }
    let place = after + digits;
    Some((begin, arguments(text, place).unwrap_or(place)))
}

/// The end of a function's arguments and of what may stand behind them: `const`, `::<lambda()>`, `[with T = float]`.
fn arguments(text: &str, from: usize) -> Option<usize> {
    let line = from + text[from..].find('\n').unwrap_or(text.len() - from);
    let mut open = from + text[from..line].find('(')?;
    if text[..open].ends_with("operator") {
        open += 2;
    }
    let mut end = closing(text, open, ('(', ')'))?;
    if let Some(rest) = text[end..].strip_prefix(" const") {
        end = text.len() - rest.len();
    }
    while text[end..].starts_with("::<") {
        end = closing(text, end + 2, ('<', '>'))?;
    }
    if text[end..].starts_with(" [with ") {
        end = closing(text, end + 1, ('[', ']'))?;
    }
    Some(end)
}

/// Behind the bracket that closes the one at `from`.
fn closing(text: &str, from: usize, (open, close): (char, char)) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text[from..].char_indices() {
        depth = if c == open { depth + 1 } else { depth };
        if c == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(from + at + c.len_utf8());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_go_and_the_rest_stays() {
        let cases = [
            (
                "Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:181 \
                 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const std::function<void(int)>&) \
                 Unsupported model IR version: 99, max supported IR version: 11\n",
                "Load model from m.onnx failed: Unsupported model IR version: 99, max supported IR version: 11",
            ),
            (
                "/src/core/provider_bridge_ort.cc:2251 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() \
                 [ONNXRuntimeError] : 1 : FAIL : Failed to load library libx.so with error: liby.so.13: cannot open \
                 shared object file",
                "[ONNXRuntimeError] : 1 : FAIL : Failed to load library libx.so with error: liby.so.13: cannot open \
                 shared object file",
            ),
            ("a.h:7 T f(T) const [with T = std::array<int[2]>] y was false.\nz", "y was false. z"),
            ("x.cc:1 auto l::operator()(int) no", "no"),
            (
                "x.cc:2 void A::f(const C&)::<lambda()>::<lambda(E, B*)> e == ok was false. No adapter",
                "e == ok was false. No adapter",
            ),
            ("cannot read model.cc: no such file, b.cc:3 f(", "cannot read model.cc: no such file, f("),
            ("plain (words)", "plain (words)"),
        ];
        for (message, rest) in cases {
            assert_eq!(without_signatures(message), rest);
        }
    }

    #[test]
    fn newer_models_are_known() {
        let text = |s: &str| s.to_owned();
        let ir = "failed: Unsupported model IR version: 99, max supported IR version: 11";
        assert_eq!(newer(ir), Some((text("IR version 99"), text("IR version 11"))));
        let opset = "ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. \
                     Opset 99 is under development and support for this is limited. The operator schemas and or other \
                     functionality may change before next ONNX release and in this case ONNX Runtime will not guarantee \
                     backward compatibility. Current official support for domain ai.onnx is till opset 23.";
        assert_eq!(newer(opset), Some((text("opset 99"), text("opset 23"))));
        assert_eq!(newer("no kernel for Opset"), None);
    }
}
