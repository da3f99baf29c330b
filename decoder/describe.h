/* describe.h: facts about stream headers, features, errors, binding and other items of a login.
 *
 * What explains a login in words is read here once, when an item comes, and travels with the
 * event; nobody downstream reads XML for it. Pure functions, any thread.
 */
#ifndef XMPPTAP_DESCRIBE_H
#define XMPPTAP_DESCRIBE_H

#include "fact_list.h"
#include "reader.h"

void describe_header(const struct item *it, struct fact_list *facts, struct fact_list *remarks);
void describe_item(const struct item *it, struct fact_list *facts);

/* What speaks where a stream should begin, told from its first byte; "" where that tells nothing. */
const char *describe_no_stream(char first);

#endif
