/* The page at "/", to try the server by hand: no other file belongs to it. */
#ifndef LOOM_INFER_PAGE_H
#define LOOM_INFER_PAGE_H

extern const char loom_page[];
extern const char loom_page_policy[]; /* Content-Security-Policy: nothing from elsewhere */

#endif
