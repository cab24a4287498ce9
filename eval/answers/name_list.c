#include "eval/answers/name_list.h"

#include <string.h>

bool loom_name_list_nth(loom_buf *into, const char *list, int i)
{
    for (; i > 0 && list; i--) {
        list = strchr(list, ',');
        if (list) list++;
    }
    loom_buf_reset(into);
    if (!list || !*list) return false;
    loom_buf_append(into, list, strcspn(list, ","));
    return into->len > 0;
}
