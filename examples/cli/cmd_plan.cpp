// SPDX-License-Identifier: Apache-2.0
// `ponder plan`: the memory that a model would take, before it is opened.
#include "command.hpp"
#include "failure.hpp"
#include "json_text.hpp"
#include "model.hpp"

namespace ponder::tool {
namespace {

class PlanCommand : public Command {
  public:
    void add_options(CLI::App& app) override {
        add_model_options(app, options_);
        app.footer("A plan that does not fit is still a plan: it says so, and the exit code is 0.");
    }

    void run() override {
        const std::string path = model_path(options_);
        ProgressBar bar;
        Placement placement;
        const ponder_model_params params = to_model_params(options_, bar, placement);
        const ponder_session_params session_params = to_session_params(options_, 0);
        ponder_error error;
        ponder_plan* created = nullptr;
        const ponder_status status = ponder_plan_create(path.c_str(), &params, &session_params, &created, &error);
        bar.clear();
        check(status, error);
        const PlanHandle plan(created);
        ponder_plan_info info = PONDER_PLAN_INFO_INIT;
        check(ponder_plan_describe(created, &info, &error), error);
        std::vector<ponder_plan_device> devices(static_cast<size_t>(info.n_devices), PONDER_PLAN_DEVICE_INIT);
        for (int32_t i = 0; i < info.n_devices; ++i) {
            check(ponder_plan_describe_device(created, i, &devices[static_cast<size_t>(i)], &error), error);
        }
        options_.is_json ? print_json(info, devices) : print_table(info, devices);
    }

  private:
    void print_json(const ponder_plan_info& info, const std::vector<ponder_plan_device>& devices) const {
        Json list = Json::array();
        for (const ponder_plan_device& device : devices) {
            list.push_back(Json{{"device", device.index},
                                {"backend", device.backend},
                                {"name", device.name},
                                {"first_layer", device.first_layer},
                                {"layers", device.n_layers},
                                {"expert_layers", device.n_expert_layers},
                                {"weight_bytes", device.weight_bytes},
                                {"kv_bytes", device.kv_bytes},
                                {"scratch_bytes", device.scratch_bytes},
                                {"total_bytes", device.total_bytes},
                                {"memory_bytes", device.memory_bytes}});
        }
        Json document{{"fits", info.fits != 0},
                      {"streams", info.is_streaming != 0},
                      {"context", info.context},
                      {"max_context", info.max_context},
                      {"weight_bytes", info.weight_bytes},
                      {"expert_bytes", info.expert_bytes},
                      {"kv_bytes", info.kv_bytes},
                      {"scratch_bytes", info.scratch_bytes},
                      {"host_bytes", info.host_bytes},
                      {"total_bytes", info.total_bytes},
                      {"least_bytes", info.least_bytes},
                      {"kv_bytes_per_token", info.kv_bytes_per_token},
                      {"decode_bytes", info.decode_bytes},
                      {"devices", std::move(list)}};
        if (options_.memory_cap > 0) document["memory_cap"] = options_.memory_cap;
        write_out(to_json_line(document).append("\n"));
    }

    // "0-13"; "-" for a device that has experts alone.
    static std::string to_range(const ponder_plan_device& device) {
        if (device.n_layers == 0) return "-";
        return std::to_string(device.first_layer) + "-" + std::to_string(device.first_layer + device.n_layers - 1);
    }

    void print_table(const ponder_plan_info& info, const std::vector<ponder_plan_device>& devices) const {
        print_out("%-32s %8s %12s %12s %12s %12s\n", "device", "layers", "weights", "cache", "scratch", "total");
        for (const ponder_plan_device& device : devices) {
            const std::string name = std::string(device.backend) + " " + one_line(device.name);
            print_out("%-32.32s %8s %12s %12s %12s %12s\n", name.c_str(), to_range(device).c_str(),
                      format_bytes(device.weight_bytes).c_str(), format_bytes(device.kv_bytes).c_str(),
                      format_bytes(device.scratch_bytes).c_str(), format_bytes(device.total_bytes).c_str());
        }
        for (const ponder_plan_device& device : devices) {
            if (device.n_expert_layers == 0 || devices.size() == 1) continue;
            print_out("routed experts of %d layers run on %s %s\n", device.n_expert_layers, device.backend, one_line(device.name).c_str());
        }
        print_out("host: library and vocabulary     %s\n", format_bytes(info.host_bytes).c_str());
        if (info.is_streaming) print_out("experts, read when needed: kept  %s\n", format_bytes(info.expert_bytes).c_str());
        print_out("together                         %s at a context of %lld tokens (%s a token)\n", format_bytes(info.total_bytes).c_str(),
                  static_cast<long long>(info.context), format_bytes(info.kv_bytes_per_token).c_str());
        if (info.least_bytes < info.total_bytes) {
            print_out("fits from %s on, where experts are read when needed\n", format_bytes(info.least_bytes).c_str());
        }
        if (options_.memory_cap == 0) return;
        print_out("%s the cap of %s%s; ", info.fits ? "fits under" : "does not fit under", format_bytes(options_.memory_cap).c_str(),
                  info.is_streaming && info.fits ? " by reading experts when they are needed" : "");
        if (info.max_context > 0) {
            print_out("the largest context that fits is %lld tokens\n", static_cast<long long>(info.max_context));
        } else {
            print_out("no context fits\n");
        }
    }

    ModelOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_plan_command() { return std::make_unique<PlanCommand>(); }

}  // namespace ponder::tool
