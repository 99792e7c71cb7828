-- A multi-layer perceptron, layer after layer.   dlua mlp_sequential.lua [epochs]

local dl    = require "dl"
local Dense = dl.layers.Dense

dl.set_random_seed(42)

local model = dl.Sequential()
model:add(Dense{ units = 64, activation = "relu", input_dim = 100 })
model:add(Dense{ units = 10, activation = "softmax" })
model:compile{ loss = "categorical_crossentropy", optimizer = "sgd", metrics = { "accuracy" } }
model:summary()                                                          --> 7,114 parameters

-- Ten classes, 100 features, three noisy clouds for each class: these stand in for readings of sensors.
local samples = os.getenv "DL_EXAMPLE_QUICK" and 2400 or 12000
local data = dl.datasets.make_blobs{ samples = samples, features = 100, classes = 10, modes = 3, spread = 2 }
local train, test = data:split(5 / 6)
local x_train, y_train = train.x, dl.utils.to_categorical(train.y, 10)   -- labels are 1..10
local x_test,  y_test  = test.x,  dl.utils.to_categorical(test.y, 10)

local history = model:fit(x_train, y_train, { epochs = tonumber(arg[1]) or 5, batch_size = 32 })
local r = model:evaluate(x_test, y_test, { batch_size = 128 })           -- r.loss and r.accuracy, also r[1] and r[2]
local classes = model:predict(x_test)                                    -- a tensor, float32 (2000, 10)

print(("loss %.3f  accuracy %.3f  first class %d"):format(r.loss, r.accuracy, classes[1]:argmax():item()))
print("epochs run:", #history.epoch, "last loss:", history.loss[#history.loss])
