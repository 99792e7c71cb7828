-- dl.applications: networks from the literature, ready to train, out of their declarations.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
core.use "models"
local fail = core.fail

local extra = {}

local means = { torch = { 0.485, 0.456, 0.406 }, caffe = { 103.939, 116.779, 123.68 } }
local deviations = { torch = { 0.229, 0.224, 0.225 } }

--- Pictures with values from 0 to 255 as the networks of a family were trained on them: "caffe" turns red, green, blue round
-- and takes ImageNet's means away (VGG, ResNet), "torch" scales to 0 .. 1 and normalises (torchvision), "tf" scales to -1 .. 1.
function extra.preprocess_input(images, options)
  if core.kind(images) ~= "dl.Tensor" then
    fail("ARGUMENT", "preprocess_input(images, options) takes a tensor, got " .. arguments.kind_of(images))
  end
  options = arguments.options("preprocess_input", options, { mode = "string", data_format = "string" })
  local mode = options.mode or "caffe"
  if mode ~= "tf" and not means[mode] then
    fail("ARGUMENT", ("'mode' of preprocess_input must be 'caffe', 'tf' or 'torch', got '%s'"):format(mode))
  end
  local x = images
  if x.dtype ~= "float32" and x.dtype ~= "float64" then x = x:to "f32" end
  if mode == "tf" then return x / 127.5 - 1 end
  local rank = #x.shape
  local last = (options.data_format or "channels_last") ~= "channels_first"
  local axis = last and rank or rank - 2
  if rank < 3 or rank > 4 or x.shape[axis] ~= 3 then
    fail("SHAPE", ("preprocess_input takes pictures with 3 channels, got shape (%s)"):format(table.concat(x.shape, ", ")))
  end
  local sizes = last and { 3 } or { 3, 1, 1 }
  if mode == "caffe" then return x:flip(axis) - core.tensor(means.caffe, x.dtype):reshape(sizes) end
  return (x / 255 - core.tensor(means.torch, x.dtype):reshape(sizes)) / core.tensor(deviations.torch, x.dtype):reshape(sizes)
end

--- The classes with the largest scores of each sample: lists of { class, name, score }; classes count from 1.
function extra.decode_predictions(scores, options)
  if core.kind(scores) ~= "dl.Tensor" or #scores.shape ~= 2 then
    fail("ARGUMENT", "decode_predictions(scores, options) takes a tensor of shape (batch, classes)")
  end
  options = arguments.options("decode_predictions", options, { top = "integer", class_names = "table" })
  local names = options.class_names
  if names and #names ~= scores.shape[2] then
    fail("ARGUMENT", ("'class_names' of decode_predictions must have %d names, got %d"):format(scores.shape[2], #names))
  end
  if options.top and options.top < 1 then
    fail("ARGUMENT", "'top' of decode_predictions must be at least 1, got " .. options.top)
  end
  local decoded = {}
  for sample, row in ipairs(core.totable(scores)) do
    local order = {}
    for class in ipairs(row) do order[class] = class end
    -- NaN is less than everything.
    table.sort(order, function(a, b)
      local left, right = row[a], row[b]
      if left ~= left or right ~= right then
        if left ~= left and right ~= right then return a < b end
        return right ~= right
      end
      if left ~= right then return left > right end
      return a < b
    end)
    local best = {}
    for place = 1, math.min(options.top or 5, #order) do
      local class = order[place]
      best[place] = { class = class, name = names and names[class], score = row[class] }
    end
    decoded[sample] = best
  end
  return decoded
end

-- ResNet50{ classes = 10, input_shape = {64, 64, 3} }
return declared.namespace("dl.applications", "application", function(declaration, name)
  return declared.constructor("dl.applications", declaration, function(...)
    local positions, options = declared.sort(declaration, ...)
    local config = declared.configure(declaration, name, positions, options)
    local path = config.weights
    config.weights = nil
    local model = core.application(name, config)
    if type(path) == "string" then
      local done, message = core.model_load_weights(model, path)
      if not done then fail("ARGUMENT", ("weights of %s: %s"):format(name, message)) end
    end
    return model
  end)
end, extra)
