#include "describe.h"

void describe_header(const struct item *it, struct fact_list *facts, struct fact_list *remarks)
{
    (void)it;
    (void)facts;
    (void)remarks;
}

void describe_item(const struct item *it, struct fact_list *facts)
{
    (void)it;
    (void)facts;
}
