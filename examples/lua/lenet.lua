-- LeNet-5 on Fashion-MNIST.   dlua lenet.lua [--epochs 5] [--batch 64] [--lr 0.001] [--threads 0] [--style 1998]
-- [--data FOLDER] [--out lenet.dlm]

local dl = require "dl"
local L, cb = dl.layers, dl.callbacks

local opt = dl.cli({ epochs = 5, batch = 64, lr = 1e-3, style = "modern", threads = 0, seed = 2, data = "", out = "lenet.dlm" }, {
  help = {
    epochs = "rounds through the training data", batch = "samples for one step", lr = "learning rate of Adam",
    style = "modern: relu and maximum; 1998: tanh and averages", threads = "that compute, 0 for all",
    data = "folder of the files", out = "where the model is saved", seed = "of the random numbers",
  },
})
dl.set_num_threads(opt.threads)
dl.set_random_seed(opt.seed)

-- x: float32 [n, 28, 28, 1] in [0, 1], y: int32 in 1..10; nil and why, where the files are not on this machine.
local fm, why = dl.datasets.fashion_mnist{ channels = true, path = opt.data ~= "" and opt.data or nil }
if not fm then
  print("Fashion-MNIST is not here: " .. why)
  print "On Debian, `apt install dataset-fashion-mnist` brings it. Drawing ten shapes instead."
  fm = dl.datasets.shapes{ channels = true }
end
local train, test = fm.train, fm.test
if os.getenv "DL_EXAMPLE_QUICK" then train, test = train:take(4000), test:take(1000) end

local act, Pool = "relu", L.MaxPooling2D
if opt.style == "1998" then act, Pool = "tanh", L.AveragePooling2D end

local model = dl.Sequential{
  L.Input{ shape = { 28, 28, 1 } },
  L.Conv2D{ 6, 5, padding = "same", activation = act, name = "C1" }, Pool{ 2, name = "S2" },
  L.Conv2D{ 16, 5, activation = act, name = "C3" },                  Pool{ 2, name = "S4" },
  L.Flatten(),
  L.Dense{ 120, activation = act, name = "C5" },
  L.Dense{ 84, activation = act, name = "F6" },
  L.Dense{ 10, activation = "softmax", name = "output" },
}
assert(model:count_params() == 61706)
model:summary()

model:compile{
  optimizer = dl.optimizers.Adam{ learning_rate = opt.lr },
  loss      = "sparse_categorical_crossentropy",                       -- labels are whole numbers, from 1
  metrics   = { "accuracy" },
}
local history = model:fit(train.x, train.y, {
  epochs = opt.epochs, batch_size = opt.batch, validation_data = { test.x, test.y },
  callbacks = {
    cb.ModelCheckpoint{ opt.out, monitor = "val_accuracy", save_best_only = true },
    cb.TerminateOnNaN(),
    { on_epoch_end = function(_, logs) if logs.val_accuracy > 0.95 then return "stop" end end },
  },
})
print(history)

-- The best epoch's model, from the file.
local best = assert(dl.load_model(opt.out))
local r = best:evaluate(test.x, test.y, { batch_size = 256 })
print(("test loss %.4f, accuracy %.4f; saved as %s"):format(r.loss, r.accuracy, opt.out))

local cm = dl.metrics.ConfusionMatrix{ names = fm.class_names }
cm:update(test.y, best:predict(test.x):argmax(2))                      -- argmax gives 1..10, as the labels are
print(cm)
