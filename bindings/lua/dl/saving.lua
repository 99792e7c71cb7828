-- dl.saving: files of models, and the layer classes of a script by name.

local core = ...
local arguments = core.use "arguments"
local models = core.use "models"
local fail, kind_of = core.fail, arguments.kind_of

local saving = {}

--- Models from files and into them; see model:save and dl.load_model.
function saving.load_model(path) return models.load_model(path) end

--- model:save(path, options), as a function.
function saving.save_model(model, path, options)
  arguments.self(model, "dl.Model", "save")
  return model:save(path, options)
end

--- model:load_weights(path), as a function.
function saving.load_weights(model, path)
  arguments.self(model, "dl.Model", "load_weights")
  return model:load_weights(path)
end

--- model:save_weights(path), as a function.
function saving.save_weights(model, path)
  arguments.self(model, "dl.Model", "save_weights")
  return model:save_weights(path)
end

local registered = {}

local function maker(name, class)
  if type(class) ~= "table" and type(class) ~= "function" then
    fail("ARGUMENT", ("the custom object '%s' must be a layer class or a function of a configuration, got %s"):format(
      tostring(name), kind_of(class)))
  end
  return function(config) return class(config) end
end

--- Makes a class known under a name, by which models that are loaded find it. Layer:extend has done so under the class's
-- own name already. register_keras_serializable(class, "Name") gives the class back.
function saving.register_keras_serializable(class, name)
  name = name or type(class) == "table" and class.class_name
  if type(name) ~= "string" then
    fail("ARGUMENT", "register_keras_serializable(class, name): name must be text, got " .. kind_of(name))
  end
  core.layer_register(name, maker(name, class))
  registered[name] = class
  return class
end

--- The classes registered here, by name.
function saving.get_custom_objects()
  local copy = {}
  for name, class in pairs(registered) do copy[name] = class end
  return copy
end

--- The class registered under a name, or nil.
function saving.get_registered_object(name) return registered[name] end

--- The name a class is registered under, or nil.
function saving.get_registered_name(class)
  for name, known in pairs(registered) do
    if known == class then return name end
  end
  return nil
end

--- Calls f with classes known by names of the moment: custom_object_scope({ Scale = MyScale }, function() ... end)
function saving.custom_object_scope(objects, f)
  if type(objects) ~= "table" or type(f) ~= "function" then
    fail("ARGUMENT", "custom_object_scope(objects, f) takes a table of classes by name and a function")
  end
  local names = arguments.keys(objects)
  local before = {}
  for _, name in ipairs(names) do
    before[name] = registered[name]
    core.layer_register(name, maker(name, objects[name]))
    registered[name] = objects[name]
  end
  local results = table.pack(pcall(f))
  for _, name in ipairs(names) do
    local earlier = before[name] or objects[name].class_name == name and objects[name]
    registered[name] = before[name]
    core.layer_register(name, earlier and maker(name, earlier) or function()
      fail("NOT_FOUND", ("the class '%s' was known within a custom_object_scope only"):format(name))
    end)
  end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

saving.CustomObjectScope = saving.custom_object_scope

return saving
