-- What compiled steps do, how long they take, and what they need of memory.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, raises = T.test, T.equal, T.raises

local host, place = arg[-1], -1
while arg[place - 1] do place, host = place - 1, arg[place - 1] end

local function lenet()
  dl.set_random_seed(1)
  local model = dl.applications.LeNet5()
  model:compile{ optimizer = "adam", loss = "sparse_categorical_crossentropy", metrics = { "accuracy" } }
  return model, dl.randn(8, 28, 28, 1), dl.tensor({ 1, 2, 3, 4, 5, 6, 7, 10 }, { dtype = "int32" })
end

local function printed(model, options)
  local text
  options = options or {}
  options.print_fn = function(line) text = line end
  model:explain(options)
  return text
end

test("nothing has run yet", function()
  local model <close> = lenet()
  assert(printed(model):find "no plans yet")
  equal(model:explain{ as_table = true }, {})
  equal(model:memory(), {})
end)

test("the plan of a training step and of a prediction", function()
  local model <close>, x, y = lenet()
  model:train_on_batch(x, y)
  model:predict(x)
  local text = printed(model)
  for _, part in ipairs{ "train float32 (8, 28, 28, 1), int32 (8,)", "predict float32 (8, 28, 28, 1)", "conv2d", "C1", "arena",
    "conv2d n8 ih28 iw28 ic1 oc6 kh5 kw5", "; not " } do
    assert(text:find(part, 1, true), part .. " is missing in\n" .. text)
  end
  assert(not text:find " ms ")
  local plans = model:explain{ as_table = true }
  equal({ plans[1].mode, plans[2].mode, #plans }, { "train", "predict", 2 })
  local convolutions, multiplications = 0, 0
  for _, step in ipairs(plans[2].steps) do
    assert(step.bytes >= 0 and step.place ~= "" and step.seconds == nil)
    if step.operation:find "conv2d" then
      convolutions = convolutions + 1
      assert(step.kernel ~= "" and step.problem:find "conv2d" and #step.outputs == 1)
      multiplications = multiplications + step.flops / 2
    end
  end
  equal(convolutions, 2)
  -- 28^2 x 6 x 25 and 10^2 x 16 x 150, for each of 8 pictures; borders included.
  equal(multiplications, 8 * (28 * 28 * 6 * 25 + 10 * 10 * 16 * 150))
  equal(#model:explain{ as_table = true, mode = "predict" }, 1)
  equal(#model:explain{ as_table = true, mode = "test" }, 0)
end)

test("memory", function()
  local model <close>, x, y = lenet()
  model:train_on_batch(x, y)
  model:train_on_batch(x[{ { 1, 2 } }], y[{ { 1, 2 } }])
  local memory = model:memory()
  equal(#memory, 2)
  for _, plan in ipairs(memory) do
    equal(plan.steps, nil)
    assert(plan.peak_bytes > 0 and plan.arena_bytes >= plan.peak_bytes)
    assert(plan.arena_bytes < 2 * plan.peak_bytes + 65536)
    -- Weights and two moments of Adam, four bytes each.
    assert(plan.variable_bytes >= 3 * 4 * 61706)
  end
end)

test("a profile tells times and leaves the model as it was", function()
  local model <close>, x, y = lenet()
  local twin <close> = lenet()
  model:train_on_batch(x, y)
  twin:train_on_batch(x, y)
  model:predict(x)
  local text = printed(model, { profile = 3 })
  assert(text:find " ms " and text:find "GFLOP/s" and text:find "medians of 3 runs")
  local plans = model:explain{ profile = true, as_table = true }
  equal(plans[1].runs, 10)
  local seconds, share = 0, 0
  for _, step in ipairs(plans[1].steps) do
    assert(step.seconds >= 0)
    seconds, share = seconds + step.seconds, share + step.share
  end
  assert(math.abs(seconds - plans[1].seconds) < 1e-9 and math.abs(share - 1) < 1e-6)
  for number, weight in ipairs(model.weights) do equal(weight:totable(), twin.weights[number]:totable(), number) end
  -- Momentum, the number of updates and the metrics too.
  local a, b = model:train_on_batch(x, y), twin:train_on_batch(x, y)
  equal(a, b)
  equal(model.optimizer.iterations, twin.optimizer.iterations)
end)

test("labels that count from 0 and several outputs are no trouble", function()
  local model <close> = dl.applications.GoogLeNet{ input_shape = { 32, 32, 3 }, classes = 3, aux_logits = true }
  model:compile{ optimizer = "sgd", loss = "sparse_categorical_crossentropy", label_base = 0 }
  local y = dl.tensor({ 0, 2 }, { dtype = "int32" })
  model:train_on_batch(dl.randn(2, 32, 32, 3), { y, y, y })
  assert(printed(model, { profile = 1 }):find " ms ")
end)

test("a trace", function()
  local model <close>, x, y = lenet()
  model:train_on_batch(x, y)
  model:predict(x)
  local path = T.temporary ".json"
  model:explain{ trace = path, profile = 2, print_fn = function() end }
  local trace = dl.utils and T.read(path)
  os.remove(path)
  local steps = {}
  for _, plan in ipairs(model:explain{ as_table = true }) do steps[#steps + 1] = #plan.steps end
  local _, complete = trace:gsub('"ph":"X"', "")
  equal(complete, 2 * (steps[1] + 1) + 2 * (steps[2] + 1))
  assert(trace:match '^{"traceEvents":%[' and trace:find('"name":"conv2d', 1, true) and trace:find('"dur":', 1, true))
end)

test("options", function()
  local model <close>, x, y = lenet()
  model:train_on_batch(x, y)
  raises({ "unknown option 'profil'", "did you mean 'profile'" }, model.explain, model, { profil = true })
  raises({ "mode", '"trian"', "did you mean 'train'" }, model.explain, model, { mode = "trian" })
  raises({ "profile" }, model.explain, model, { profile = -1 })
  raises({ "dl[E_", "nowhere" }, model.explain, model, { trace = "/nowhere/at/all.json", profile = 1 })
end)

test("DL_VERBOSE=kernels tells what was chosen, once for each problem", function()
  local script = T.temporary ".lua"
  T.write(script, [[
    local dl = require "dl"
    local model = dl.applications.LeNet5{}
    model:predict(dl.zeros(2, 28, 28, 1))
    model:predict(dl.zeros(2, 28, 28, 1))
    local k, x = dl.zeros(3, 3, 2, 4), dl.zeros(1, 8, 8, 2)
    dl.ops.conv2d(x, k)
    dl.ops.conv2d(x, k)
  ]])
  local function run(environment)
    local pipe = assert(io.popen(("%s '%s' '%s' 2>&1"):format(environment, host, script)))
    local text = pipe:read "a"
    assert(pipe:close(), text)
    return text
  end
  local text = run "DL_VERBOSE=other,kernels"
  equal(run "DL_VERBOSE=", "")
  equal(run "DL_VERBOSE=kernel,nonsense", "")
  os.remove(script)
  local _, count = text:gsub("dl: kernels: conv2d n2 ih28 iw28 ic1 oc6[^\n]*forward: ", "")
  equal(count, 1, text)
  _, count = text:gsub("dl: kernels: conv2d n1 ih8 iw8 ic2 oc4[^\n]*\n", "")
  equal(count, 1, text)
  assert(text:find("; not ", 1, true), text)
end)

T.finish()
