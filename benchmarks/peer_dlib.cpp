// dlib's side of the benchmarks: a worker that speaks the protocol of protocol.md. LeNet alone, which is written out
// here since dlib's networks are types.
#include <dlib/dnn.h>
#include <dlib/revision.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

// Missing where another BLAS does the products.
extern "C" __attribute__((weak)) void openblas_set_num_threads(int);

using namespace dlib;

template <typename SUBNET> using first = add_layer<con_<6, 5, 5, 1, 1, 2, 2>, SUBNET>;
template <typename SUBNET> using second = add_layer<con_<16, 5, 5, 1, 1, 0, 0>, SUBNET>;
using lenet = loss_multiclass_log<fc<10, relu<fc<84, relu<fc<120, max_pool<2, 2, 2, 2, relu<second<
    max_pool<2, 2, 2, 2, relu<first<input<matrix<float>>>>>>>>>>>>>>;

// The numbers of an NPY file of 4-byte elements.
template <typename T> static std::vector<T> load(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (data.size() < 10)
        throw std::runtime_error("cannot read " + path);
    const std::size_t begin = 10 + static_cast<unsigned char>(data[8]) + 256u * static_cast<unsigned char>(data[9]);
    std::vector<T> values((data.size() - begin) / sizeof(T));
    std::copy(data.begin() + begin, data.end(), reinterpret_cast<char *>(values.data()));
    return values;
}

// Weights as dlib has them: convolutions OIHW, then biases; dense in-out with the biases as last row.
static std::vector<float> convolution(const std::string &stem, int size, int in, int out)
{
    const auto kernel = load<float>(stem + ".0.npy"), bias = load<float>(stem + ".1.npy");
    std::vector<float> result;
    for (int o = 0; o < out; o++)
        for (int i = 0; i < in; i++)
            for (int place = 0; place < size * size; place++)
                result.push_back(kernel[(place * in + i) * out + o]);
    result.insert(result.end(), bias.begin(), bias.end());
    return result;
}

// `side` and `channels` where the rows come out of a flatten: from HWC to CHW order.
static std::vector<float> dense(const std::string &stem, int out, int side = 1, int channels = 0)
{
    const auto kernel = load<float>(stem + ".0.npy"), bias = load<float>(stem + ".1.npy");
    const int in = static_cast<int>(kernel.size()) / out;
    if (channels == 0)
        channels = in;
    std::vector<float> result;
    for (int c = 0; c < channels; c++)
        for (int place = 0; place < side * side; place++)
            for (int o = 0; o < out; o++)
                result.push_back(kernel[(place * channels + c) * out + o]);
    result.insert(result.end(), bias.begin(), bias.end());
    return result;
}

class training {
public:
    training(const std::string &folder, int batch)
    {
        const auto pixels = load<float>(folder + "/x.npy");
        const auto classes = load<int>(folder + "/y.npy");
        std::vector<matrix<float>> pictures;
        for (int n = 0; n < batch; n++) {
            matrix<float> picture(28, 28);
            std::copy_n(pixels.begin() + n * 784, 784, picture.begin());
            pictures.push_back(picture);
            labels.push_back(static_cast<unsigned long>(classes[n]));
        }
        net.to_tensor(pictures.begin(), pictures.end(), x);
        net.compute_loss(x, labels.begin());  // makes the weights
        keep<11>(convolution(folder + "/conv1", 5, 1, 6));
        keep<8>(convolution(folder + "/conv2", 5, 6, 16));
        keep<5>(dense(folder + "/dense1", 120, 5, 16));
        keep<3>(dense(folder + "/dense2", 84));
        keep<1>(dense(folder + "/dense3", 10));
        solvers.assign(net.num_computational_layers, sgd(0, 0.9f));
    }

    double step()
    {
        const double loss = net.compute_parameter_gradients(x, labels.begin());
        net.update_parameters(solvers, 0.001);
        return loss;
    }

    void update(std::ostream &out)
    {
        out.precision(9);
        changed<11>(out, 6);
        changed<8>(out, 16);
        changed<5>(out, 120);
        changed<3>(out, 84);
        changed<1>(out, 10);
    }

private:
    template <int LAYER> void keep(const std::vector<float> &values)
    {
        tensor &parameters = layer<LAYER>(net).layer_details().get_layer_params();
        if (parameters.size() != values.size())
            throw std::runtime_error("layer " + std::to_string(LAYER) + " has another size");
        std::copy(values.begin(), values.end(), parameters.host());
        before[LAYER] = values;
    }

    // Kernel and bias apart.
    template <int LAYER> void changed(std::ostream &out, std::size_t biases)
    {
        const tensor &parameters = layer<LAYER>(net).layer_details().get_layer_params();
        const float *after = parameters.host();
        const auto &old = before[LAYER];
        double sums[2] = {0, 0};
        for (std::size_t i = 0; i < old.size(); i++) {
            const double change = double(after[i]) - old[i];
            sums[i + biases >= old.size()] += change * change;
        }
        out << ' ' << std::sqrt(sums[0]) << ' ' << std::sqrt(sums[1]);
    }

    lenet net;
    resizable_tensor x;
    std::vector<unsigned long> labels;
    std::vector<sgd> solvers;
    std::map<int, std::vector<float>> before;
};

int main()
{
    std::unique_ptr<training> model;
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream in(line);
        std::ostringstream out;
        std::vector<std::string> words;
        for (std::string word; in >> word;)
            words.push_back(word);
        if (words.empty() || words[0] == "quit")
            break;
        try {
            if (words[0] == "hello") {
                out << " dlib " << DLIB_MAJOR_VERSION << '.' << DLIB_MINOR_VERSION;
            } else if (words[0] == "threads") {
                if (openblas_set_num_threads)
                    openblas_set_num_threads(std::atoi(words.at(1).c_str()));
            } else if (words[0] == "prepare") {
                if (words.at(2) != "train" || words.at(3).find("lenet.txt") == std::string::npos || words.at(5) != "sgd")
                    throw std::runtime_error("only LeNet is trained here");
                model = std::make_unique<training>(words.at(7), std::atoi(words.at(4).c_str()));
            } else if (!model) {
                throw std::runtime_error("nothing is prepared");
            } else if (words[0] == "run") {
                for (int count = std::atoi(words.at(2).c_str()); count > 0; count--)
                    model->step();
            } else if (words[0] == "losses") {
                out.precision(9);
                for (int count = std::atoi(words.at(2).c_str()); count > 0; count--)
                    out << ' ' << model->step();
            } else if (words[0] == "update") {
                model->update(out);
            } else if (words[0] == "drop") {
                model.reset();
            } else {
                throw std::runtime_error("no command " + words[0]);
            }
            std::cout << "ok" << out.str() << std::endl;
        } catch (const std::exception &error) {
            std::cout << "error " << error.what() << std::endl;
        }
    }
}
