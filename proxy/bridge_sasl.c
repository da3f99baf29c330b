#include "bridge_sasl.h"

#include "../decoder/sasl.h"

int sasl_put(struct buf *out, const char *name, const char *mechanism, const void *p, size_t n)
{
    int err = buf_printf(out, "<%s xmlns='" SASL_NS "'", name);

    if (!err && mechanism)
        err = buf_printf(out, " mechanism='%s'", mechanism);
    if (!err)
        err = buf_str(out, n ? ">" : "/>");
    if (!err && n)
        err = buf_base64(out, p, n);
    if (!err && n)
        err = buf_printf(out, "</%s>", name);
    return err;
}

int sasl_put_failure(struct buf *out, const char *ns, const char *condition)
{
    return buf_printf(out, "<failure xmlns='%s'><%s xmlns='" SASL_NS "'/></failure>", ns, condition);
}

long sasl_get(const struct item *it, char *out, size_t size, bool *none)
{
    const struct node *at = &it->node[0];

    *none = at->inner == at->inner_end;
    if (*none || (at->text_len == 1 && *at->text == '='))
        return 0;
    if (it->nodes > 1 || at->text_cut)
        return -1;
    return sasl_base64(at->text, at->text_len, out, size);
}
