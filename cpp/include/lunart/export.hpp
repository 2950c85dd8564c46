// What liblunart.so offers: everything without this mark is hidden in it.
#pragma once

#define LUNART_API __attribute__((visibility("default")))
