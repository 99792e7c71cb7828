-- Networks from the literature: exact numbers of parameters, one step of training, options.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, raises = T.test, T.equal, T.raises
local A = dl.applications

local function trainable(model)
  local count = 0
  for _, weight in ipairs(model.trainable_weights) do count = count + #weight:reshape(-1) end
  return count
end

-- Counts with the moving averages of batch normalisation, and without them where that differs.
local function count(name, options, all, learned)
  local model <close> = A[name](options)
  equal(model:count_params(), all, name)
  if learned then equal(trainable(model), learned, name) end
  for _, weight in ipairs(model.weights) do weight:close() end
  collectgarbage()
end

-- torch counts what is learned only.
local function torch(name, options, learned)
  options.variant = "torchvision"
  local model <close> = A[name](options)
  equal(trainable(model), learned, name)
  collectgarbage()
end

test("LeNet and AlexNet count", function()
  count("LeNet5", {}, 61706)
  count("LeNet5", { style = "1998" }, 61706)
  count("AlexNet", {}, 60965224)
  count("AlexNet", { variant = "ungrouped" }, 62378344)
  torch("AlexNet", {}, 61100840)
end)

test("VGG counts", function()
  count("VGG11", {}, 132863336)
  count("VGG_A_LRN", {}, 132863336)
  count("VGG_B", {}, 133047848)
  count("VGG_C", {}, 133638952)
  count("VGG16", {}, 138357544)
  torch("VGG16", {}, 138357544)
  count("VGG19", {}, 143667240)
  torch("VGG11", { batch_normalization = true }, 132868840)
  torch("VGG13", { batch_normalization = true }, 133053736)
  torch("VGG16", { batch_normalization = true }, 138365992)
  torch("VGG19", { batch_normalization = true }, 143678248)
  count("VGG16", { include_top = false }, 14714688)
end)

test("GoogLeNet counts", function()
  count("GoogLeNet", {}, 6998552)
  count("GoogLeNet", { aux_logits = true }, 13378280)
  torch("GoogLeNet", {}, 6624904)
  torch("GoogLeNet", { aux_logits = true }, 13004888)
  -- One inception module after another.
  local model <close> = A.GoogLeNet{}
  local modules = { ["3a"] = 163696, ["3b"] = 388736, ["4a"] = 376176, ["4b"] = 449160, ["4c"] = 510104, ["4d"] = 605376,
    ["4e"] = 868352, ["5a"] = 1043456, ["5b"] = 1444080, stem = 124416, predictions = 1025000 }
  local found = {}
  for name, layer in model:layers_iter() do
    local key = name:match "^inception_(..)_" or name:match "^predictions" or "stem"
    found[key] = (found[key] or 0) + layer:count_params()
  end
  equal(found, modules)
end)

test("ResNet counts", function()
  torch("ResNet18", {}, 11689512)
  torch("ResNet34", {}, 21797672)
  torch("ResNet50", {}, 25557032)
  count("ResNet50", {}, 25636712, 25583592)
  torch("ResNet101", {}, 44549160)
  count("ResNet101", {}, 44707176, 44601832)
  torch("ResNet152", {}, 60192808)
  count("ResNet152", {}, 60419944, 60268520)
  torch("ResNet", { depth = 18 }, 11689512)
  count("ResNet", { depth = 101 }, 44707176, 44601832)
  count("ResNet50", { include_top = false }, 23587712)
  for depth, parameters in pairs{ [20] = 269722, [32] = 464154, [44] = 658586, [56] = 853018, [110] = 1727962 } do
    local model <close> = A.ResNetCIFAR{ depth = depth }
    equal(trainable(model), parameters, depth)
  end
end)

-- One step and one prediction; `size` is the side of the pictures.
local function works(name, size, options)
  options.input_shape, options.classes = { size, size, 3 }, 7
  local model <close> = A[name](options)
  local outputs = #model.output_names
  local x, y = dl.randn(2, size, size, 3), dl.tensor({ 3, 7 }, { dtype = "int32" })
  model:compile{ optimizer = dl.optimizers.SGD{ learning_rate = 1e-3 }, loss = "sparse_categorical_crossentropy" }
  local targets = y
  if outputs > 1 then
    targets = {}
    for place = 1, outputs do targets[place] = y end
  end
  local before = model.trainable_weights[1]:totable()
  local loss = model:train_on_batch(x, targets)
  if type(loss) == "table" then loss = loss[1] or loss.loss end
  assert(loss > 0 and loss < 1e4, name .. " loss " .. tostring(loss))
  local after = model.trainable_weights[1]:totable()
  local changed = false
  local function compare(a, b)
    if type(a) ~= "table" then changed = changed or a ~= b return end
    for place = 1, #a do compare(a[place], b[place]) end
  end
  compare(before, after)
  assert(changed, name .. ": nothing was learned")
  local p = model:predict(x)
  local first = outputs > 1 and (p[1] or p[model.output_names[1]]) or p
  equal(first.shape, { 2, 7 })
  for _, row in ipairs(first:totable()) do
    local sum = 0
    for _, value in ipairs(row) do sum = sum + value end
    assert(math.abs(sum - 1) < 1e-4, name .. ": probabilities add up to " .. sum)
  end
  collectgarbage()
end

test("one step of training and one prediction", function()
  works("ResNet18", 64, {})
  works("ResNet18", 33, { variant = "keras" })
  works("ResNet50", 64, {})
  works("ResNet50", 64, { variant = "torchvision" })
  works("ResNetCIFAR", 32, { depth = 8 })
  works("GoogLeNet", 64, { aux_logits = true })
  works("GoogLeNet", 64, { variant = "torchvision", aux_logits = true })
  works("GoogLeNet", 32, {})
  works("AlexNet", 67, {})
  works("AlexNet", 64, { variant = "torchvision" })
  works("VGG_A_LRN", 32, {})
end)

test("options", function()
  local model <close> = A.ResNet18{ include_top = false, input_shape = { 64, 64, 3 }, pooling = "avg", name = "trunk" }
  equal(model.name, "trunk")
  equal(model.output_shape, { false, 512 })
  local open <close> = A.ResNet18{ include_top = false, input_shape = { false, false, 3 } }
  equal(open:predict(dl.zeros(1, 40, 50, 3)).shape, { 1, 2, 2, 512 })
  local scores <close> = A.LeNet5{ classifier_activation = false, classes = 3 }
  assert(math.abs(scores:predict(dl.ones(1, 28, 28, 1)):sum():item() - 1) > 1e-3)
  raises({ "dl[E_NOT_FOUND]", "did you mean 'ResNet50'" }, function() return A.Resnet50 end)
  raises({ "variant", "'torchvison'", "did you mean 'torchvision'" }, A.ResNet50, { variant = "torchvison" })
  raises({ "unknown option 'class'", "did you mean 'classes'" }, A.ResNet50, { class = 3 })
  raises({ "ResNet", "depth" }, A.ResNet, { depth = 51 })
  raises({ "depth", "6 n + 2" }, A.ResNetCIFAR, { depth = 21 })
  raises({ "input_shape" }, A.LeNet5, { input_shape = { 28, 28 } })
  raises({ "AlexNet", "pool" }, A.AlexNet, { input_shape = { 32, 32, 3 } })
  raises({ "dl[E_", "nowhere" }, A.LeNet5, { weights = "nowhere.safetensors" })
end)

test("weights and JSON", function()
  local model <close> = A.LeNet5{}
  local path = os.tmpname()
  assert(model:save_weights(path))
  local again <close> = A.LeNet5{ weights = path }
  os.remove(path)
  local x = dl.randn(2, 28, 28, 1)
  equal(again:predict(x):totable(), model:predict(x):totable())
  local small <close> = A.GoogLeNet{ input_shape = { 32, 32, 3 }, variant = "torchvision" }
  local copy <close> = dl.models.model_from_json(small:to_json())
  equal(copy:count_params(), small:count_params())
end)

T.finish()
