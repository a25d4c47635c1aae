// Includes all public headers.
#pragma once

#include "zoo/batcher.h"
#include "zoo/classifier.h"
#include "zoo/encoder.h"
#include "zoo/errors.h"
#include "zoo/generator.h"
#include "zoo/loaded_engine.h"
#include "zoo/manifest.h"
#include "zoo/mapping.h"
#include "zoo/options.h"
#include "zoo/translator.h"
