-- dl.config: what Keras lets one set for the whole process. What is fixed here says so instead of pretending.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local fail, kind_of = core.fail, arguments.kind_of

local config = {}

local function fixed(owner, value, known, cure)
  for _, name in ipairs(known) do
    if value == name then return end
  end
  fail("UNSUPPORTED", ("%s: only %s. Received: %s%s"):format(owner, tostring(known[1]), kind_of(value), cure))
end

--- What computes: "libdl".
function config.backend() return "libdl" end

--- Accepts "libdl" alone.
function config.set_backend(name) fixed("set_backend", name, { "libdl" }, "") end

--- The dtype of what is made without one: "float32".
function config.floatx() return "float32" end

--- Accepts "float32" alone; other dtypes are asked for where something is made.
function config.set_floatx(dtype)
  fixed("set_floatx", dtype, { "float32", "f32" }, "; give dtype = 'f64' to the tensor, Input or layer that needs it")
end

--- The small number that keeps divisions finite: 1e-7.
function config.epsilon() return 1e-7 end

--- Accepts 1e-7 alone; layers and operations have an option of their own.
function config.set_epsilon(value)
  fixed("set_epsilon", value, { 1e-7 }, "; layers, operations and optimizers have an option 'epsilon' of their own")
end

--- "float32": what is computed with, and what weights are kept in.
function config.dtype_policy() return "float32" end

--- Accepts "float32" alone; a layer's option dtype chooses float64.
function config.set_dtype_policy(policy)
  fixed("set_dtype_policy", policy, { "float32", "f32" }, "; give dtype = 'f64' to the layer that needs it")
end

--- Where pictures have their channels unless a layer says otherwise: "channels_last".
function config.image_data_format() return declared.data_format or "channels_last" end

--- "channels_last" or "channels_first", for the layers made from now on.
function config.set_image_data_format(format)
  if format ~= "channels_last" and format ~= "channels_first" then
    fail("ARGUMENT", "set_image_data_format takes 'channels_last' or 'channels_first', got " .. kind_of(format))
  end
  declared.data_format = format == "channels_first" and format or nil
end

-- ---- Limits and printing ------------------------------------------------------------------------------------------

local limits = {}

for _, name in ipairs{ "max_epochs", "max_steps_per_epoch" } do
  config[name] = function() return limits[name] end

  config["set_" .. name] = function(value)
    local whole = type(value) == "number" and math.tointeger(value)
    if value ~= nil and (not whole or whole < 1) then
      fail("ARGUMENT", ("set_%s takes a whole number of at least 1, or nil for no limit, got %s"):format(name, kind_of(value)))
    end
    limits[name] = whole or nil
  end
end

local interactive = true

--- Whether fit draws a bar on a terminal; else it prints a line for each epoch.
function config.is_interactive_logging_enabled() return interactive end
function config.enable_interactive_logging() interactive = true end
function config.disable_interactive_logging() interactive = false end

return config
