#include "events/part.h"

extern const struct part part;

int main(int argc, char **argv)
{
    return part_main(&part, argc, argv);
}
