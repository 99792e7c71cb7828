-- dl.applications: networks from the literature, ready to train.

local core = ...
local arguments = core.use "arguments"
local layers = core.use "layers"
local models = core.use "models"

local applications = {}

--- LeNet-5 for small pictures: two convolutions with pooling, three dense layers; 61,706 parameters for 28 x 28 x 1 and
-- 10 classes. LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998; "relu" and
-- maximum pooling unless style = "1998" asks for "tanh" and averages.
-- LeNet5{ classes = 10, input_shape = {28, 28, 1}, classifier_activation = "softmax", style = "modern" }
function applications.LeNet5(options)
  options = arguments.options("LeNet5", options, {
    classes = "integer", input_shape = "table", classifier_activation = "string|boolean", style = "string", name = "string",
  })
  local activation, Pool = "relu", layers.MaxPooling2D
  if options.style == "1998" then activation, Pool = "tanh", layers.AveragePooling2D end
  local last = options.classifier_activation
  if last == nil or last == true then last = "softmax" end
  return models.Sequential({
    layers.Input{ shape = options.input_shape or { 28, 28, 1 } },
    layers.Conv2D{ 6, 5, padding = "same", activation = activation, name = "C1" },
    Pool{ 2, name = "S2" },
    layers.Conv2D{ 16, 5, activation = activation, name = "C3" },
    Pool{ 2, name = "S4" },
    layers.Flatten(),
    layers.Dense{ 120, activation = activation, name = "C5" },
    layers.Dense{ 84, activation = activation, name = "F6" },
    layers.Dense{ options.classes or 10, activation = last or "linear", name = "output" },
  }, { name = options.name or "lenet5" })
end

return applications
