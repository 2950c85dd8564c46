// Task image-classification: class names, preprocessing, and the size that the network takes.
#include <algorithm>
#include <set>

#include "bundle/manifest_parts.hpp"
#include "io/text.hpp"

namespace lunart {
namespace {

constexpr int kMostSide = 1 << 14;
constexpr std::size_t kLongestName = 256;

ImageSize size_of(const Json& value, const char* key) {
  if (!value.is_array() || value.size() != 2) {
    refuse(std::string("preprocess.") + key + " is " + quoted(value) + "; expected [rows, cols]");
  }
  const auto side = [&](std::size_t k) {
    const bool fits = value[k].is_number_integer() && value[k] >= 1 && value[k] <= kMostSide;
    if (!fits) {
      refuse(std::string("preprocess.") + key + " is " + quoted(value) +
             "; expected sides of 1 to " + std::to_string(kMostSide));
    }
    return value[k].get<std::int64_t>();
  };
  return {side(0), side(1)};
}

Filter filter_of(const std::string& name) {
  if (name == "nearest") return Filter::nearest;
  if (name == "bilinear") return Filter::bilinear;
  if (name == "bicubic") return Filter::bicubic;
  refuse("preprocess.resize.filter is \"" + name + "\"; expected nearest, bilinear or bicubic");
}

Resize resize_of(const Json& at) {
  Resize resize{.filter = filter_of(value_in<std::string>(at, "filter")),
                .antialias = value_in<bool>(at, "antialias")};
  if (member_of(at, "size").is_number()) {
    resize.shortest = integer_in(at, "size", 1, kMostSide);
  } else {
    resize.exact = size_of(at.at("size"), "resize.size");
  }
  return resize;
}

std::array<double, 3> channels_in(const Json& at, const char* key) {
  const auto values = value_in<std::vector<double>>(at, key);
  if (values.size() != 3) {
    refuse(std::string("preprocess.") + key + " has " + std::to_string(values.size()) +
           " numbers; expected 3: red, green, blue");
  }
  return {values[0], values[1], values[2]};
}

PreprocessOptions preprocess_of(const Json& at) {
  PreprocessOptions p;
  if (!member_of(at, "resize").is_null()) p.resize = resize_of(object_in(at, "resize"));
  const Json& crop = member_of(at, "center_crop");
  if (!crop.is_null()) p.center_crop = size_of(crop, "center_crop");
  p.scale = number_in(at, "scale", 1e-9, 1e9);
  p.mean = channels_in(at, "mean");
  p.deviation = channels_in(at, "deviation");
  if (std::ranges::any_of(p.deviation, [](double d) { return !(d > 0); })) {
    refuse("preprocess.deviation is " + quoted(at.at("deviation")) + "; expected numbers above 0");
  }
  return p;
}

// A side is a number, or a name where the network takes any.
std::optional<std::int64_t> side_of(const Json& shape, std::size_t axis) {
  if (shape[axis].is_string()) return std::nullopt;
  if (!shape[axis].is_number_integer() || shape[axis] < 1 || shape[axis] > kMostSide) {
    refuse("models.classification.inputs: its shape is " + quoted(shape));
  }
  return shape[axis].get<std::int64_t>();
}

void read_input(const Json& model, ImageSettings& s) {
  const Json& inputs = list_in(model, "inputs");
  if (inputs.size() != 1) {
    refuse("models.classification.inputs are " + std::to_string(inputs.size()) + "; expected one");
  }
  const Json& shape = list_in(inputs[0], "shape");
  if (shape.size() != 4 || shape[1] != 3) {
    refuse("models.classification.inputs: its shape is " + quoted(shape) +
           "; expected [\"batch\", 3, rows, cols]");
  }
  s.rows = side_of(shape, 2);
  s.cols = side_of(shape, 3);
  s.multiple_of = integer_in(model, "multiple_of", 1, 1024);
  const Json& batch = object_in(model, "batch");
  if (integer_in(batch, "min", 1, 1 << 20) != 1) {
    refuse("models.classification.batch.min is " + quoted(batch.at("min")) + "; expected 1");
  }
  s.most_a_batch = static_cast<std::size_t>(integer_in(batch, "max", 1, 1 << 20));
}

// A contradiction would refuse every picture there is.
void require_fitting_size(const ImageSettings& s) {
  const PreprocessOptions& p = s.preprocess;
  const std::optional<ImageSize> made = p.center_crop ? p.center_crop
                                        : p.resize    ? p.resize->exact
                                                      : std::nullopt;
  if (!made) return;
  const bool fits = made->rows == s.rows.value_or(made->rows) &&
                    made->cols == s.cols.value_or(made->cols) && made->rows % s.multiple_of == 0 &&
                    made->cols % s.multiple_of == 0;
  if (fits) return;
  refuse("preprocess makes pictures of " + std::to_string(made->rows) + "x" +
         std::to_string(made->cols) + ", which models.classification does not take");
}

void read_outputs(const Json& model, ImageSettings& s) {
  const Json& outputs = list_in(model, "outputs");
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (member_of(outputs[k], "name") != "probability") continue;
    const Json& shape = list_in(outputs[k], "shape");
    if (shape.size() != 2 || shape[1] != s.classes.size()) {
      refuse("models.classification: probability has shape " + quoted(shape) +
             " and the bundle has " + std::to_string(s.classes.size()) + " classes");
    }
    s.probability_output = k;
    return;
  }
  refuse("models.classification.outputs: none is called probability");
}

}  // namespace

ImageSettings images_of(const Json& root) {
  ImageSettings s;
  s.classes = value_in<std::vector<std::string>>(root, "classes");
  const std::set<std::string> different(s.classes.begin(), s.classes.end());
  for (const std::string& name : s.classes) {
    if (name.size() > kLongestName) {
      refuse("classes: " + in_quotes(name) + " has " + std::to_string(name.size()) +
             " bytes; expected up to " + std::to_string(kLongestName));
    }
  }
  if (s.classes.empty() || different.size() != s.classes.size() || different.contains("")) {
    refuse("classes is " + quoted(root.at("classes")) + "; expected different names");
  }
  s.preprocess = preprocess_of(object_in(root, "preprocess"));
  const Json& model = object_in(object_in(root, "models"), "classification");
  read_input(model, s);
  require_fitting_size(s);
  read_outputs(model, s);
  return s;
}

}  // namespace lunart
