/* On a processor without the instructions that the kernels need: every call says so, none uses them. */
#include <dl.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    const int64_t shape[1] = {3};
    const float numbers[3] = {1, 2, 3};
    dl_tensor *x = NULL;
    dl_model *model = NULL;
    char *text = NULL;
    int failures = 0;
    failures += dl_tensor_create(&x, DL_FLOAT32, 1, shape, numbers) != DL_ERROR_UNSUPPORTED || x != NULL;
    failures += strstr(dl_last_error(), "AVX2") == NULL;
    failures += dl_sequential_create(&model, NULL) != DL_ERROR_UNSUPPORTED || model != NULL;
    failures += dl_list(&text, "layer") != DL_ERROR_UNSUPPORTED || text != NULL;
    failures += strcmp(dl_status_name(dl_last_status()), "DL_ERROR_UNSUPPORTED") != 0;
    dl_set_random_seed(1);
    dl_trim_memory();
    dl_tensor_release(NULL);
    failures += dl_live_handles() != 0 || dl_abi_version() != DL_ABI_VERSION;
    printf("old_processor: %d failures\n", failures);
    return failures != 0;
}
