-- What a compiled training step does, how long each operation takes, and what it needs of memory.
-- dlua explain.lua [trace.json]

local dl = require "dl"
dl.set_random_seed(1)

local model = dl.applications.LeNet5()
model:compile{ optimizer = "adam", loss = "sparse_categorical_crossentropy" }
local set = dl.datasets.shapes{ n_train = 32, n_test = 1, channels = true }
model:train_on_batch(set.train.x, set.train.y)            -- the first step compiles

model:explain{ mode = "train", profile = 20 }

for _, plan in ipairs(model:memory()) do
  print(("%s: %.2f MB for results, %.2f MB for weights and the optimizer"):format(plan.mode, plan.arena_bytes / 2 ^ 20,
    plan.variable_bytes / 2 ^ 20))
end

-- The most expensive operations.
local steps = model:explain{ mode = "train", profile = 20, as_table = true, trace = arg and arg[1] }[1].steps
table.sort(steps, function(a, b) return a.seconds > b.seconds end)
for place = 1, 5 do
  local step = steps[place]
  print(("%5.1f %%  %-24s %-10s %s"):format(100 * step.share, step.operation, step.kernel, step.layer))
end
