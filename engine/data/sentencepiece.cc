// SPDX-License-Identifier: Apache-2.0
// sentencepiece.cc: libsentencepiece behind C functions; no exception leaves this file.
extern "C" { // a C header
#include "hostlib/status.h"
}
#include "engine/data/sentencepiece.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

struct sy_spm {
    sentencepiece::SentencePieceProcessor processor;
    bool words_alone, plain;
};

namespace
{

enum sy_status no_memory(struct sy_ctx *ctx)
{
    return sy_fail(ctx, SY_NOMEM, "out of memory in the SentencePiece tokenizer");
}

/// A malloc'ed copy with `extra` zero bytes behind it.
void *copy(const void *data, size_t bytes, size_t extra)
{
    char *out = static_cast<char *>(std::malloc(bytes + extra));
    if (out == nullptr)
        return nullptr;
    if (bytes > 0)
        std::memcpy(out, data, bytes);
    std::memset(out + bytes, 0, extra);
    return out;
}

/// Whether a piece has something else on both sides of a space (U+2581).
bool spans_space(const std::string &piece)
{
    static const std::string space = "\xe2\x96\x81";
    std::size_t first = 0, last = piece.size();
    while (piece.compare(first, space.size(), space) == 0)
        first += space.size();
    while (last >= first + space.size() && piece.compare(last - space.size(), space.size(), space) == 0)
        last -= space.size();
    const std::size_t found = piece.find(space, first);
    return found != std::string::npos && found < last;
}

bool words_alone(const sentencepiece::SentencePieceProcessor &p)
{
    for (int i = 0; i < p.GetPieceSize(); ++i)
        if (spans_space(p.IdToPiece(i)))
            return false;
    for (const char *word : {"a", "the", "1", "?"}) { // how the library treats spaces is easier tried than read
        std::vector<int> one, two;
        if (!p.Encode(word, &one).ok() || !p.Encode(std::string(word) + " " + word, &two).ok())
            return false;
        one.insert(one.end(), one.begin(), one.end());
        if (one != two)
            return false;
    }
    return true;
}

bool spaces_are_one(const sentencepiece::SentencePieceProcessor &p)
{
    std::vector<int> one, many;
    return p.Encode("a b", &one).ok() && p.Encode("  a   b  ", &many).ok() && one == many;
}

} // namespace

enum sy_status sy_spm_load(struct sy_ctx *ctx, const void *data, size_t bytes, const char *name, struct sy_spm **out_spm)
{
    SY_TRY(sy_spm_check(ctx, data, bytes, name));
    struct sy_spm *spm = nullptr;
    try {
        spm = new sy_spm;
        auto status = spm->processor.LoadFromSerializedProto(absl::string_view(static_cast<const char *>(data), bytes));
        if (!status.ok()) {
            enum sy_status failed =
                sy_fail(ctx, SY_FORMAT, "%s: not a usable SentencePiece model: %s", name, status.error_message());
            delete spm;
            return failed;
        }
        spm->words_alone = words_alone(spm->processor);
        spm->plain = sy_spm_says_plain(data, bytes) && spaces_are_one(spm->processor);
        *out_spm = spm;
        return SY_OK;
    } catch (const std::bad_alloc &) {
        delete spm;
        return no_memory(ctx);
    } catch (const std::exception &e) {
        delete spm;
        return sy_fail(ctx, SY_FORMAT, "%s: not a usable SentencePiece model: %s", name, e.what());
    }
}

void sy_spm_free(struct sy_spm *spm)
{
    delete spm;
}

uint32_t sy_spm_pieces(const struct sy_spm *spm)
{
    return static_cast<uint32_t>(spm->processor.GetPieceSize());
}

int32_t sy_spm_pad(const struct sy_spm *spm)
{
    return spm->processor.pad_id();
}

int32_t sy_spm_eos(const struct sy_spm *spm)
{
    return spm->processor.eos_id();
}

int32_t sy_spm_unk(const struct sy_spm *spm)
{
    return spm->processor.unk_id();
}

int32_t sy_spm_find(const struct sy_spm *spm, const char *piece)
{
    int id = spm->processor.PieceToId(piece);
    // An unknown text gets the id of <unk>: only a piece that reads back as itself was found.
    return id >= 0 && spm->processor.IdToPiece(id) == piece ? id : -1;
}

bool sy_spm_words_alone(const struct sy_spm *spm)
{
    return spm->words_alone;
}

bool sy_spm_is_normal(const struct sy_spm *spm, int32_t id)
{
    const auto &p = spm->processor;
    return !p.IsControl(id) && !p.IsUnknown(id) && !p.IsUnused(id) && !p.IsByte(id);
}

float sy_spm_score(const struct sy_spm *spm, int32_t id)
{
    return spm->processor.GetScore(id);
}

bool sy_spm_plain(const struct sy_spm *spm)
{
    return spm->plain;
}

const char *sy_spm_piece(const struct sy_spm *spm, int32_t id)
{
    return spm->processor.IdToPiece(id).c_str();
}

enum sy_status sy_spm_encode(struct sy_ctx *ctx, const struct sy_spm *spm, const char *text, size_t bytes, int32_t **out_ids,
                             size_t *out_count)
{
    try {
        std::vector<int> ids;
        auto status = spm->processor.Encode(absl::string_view(text, bytes), &ids);
        if (!status.ok())
            return sy_fail(ctx, SY_FORMAT, "SentencePiece cannot encode: %s", status.error_message());
        static_assert(sizeof(int) == sizeof(int32_t), "ids are copied as they are");
        *out_ids = static_cast<int32_t *>(copy(ids.data(), ids.size() * sizeof(int), sizeof(int)));
        *out_count = ids.size();
        return *out_ids != nullptr ? SY_OK : no_memory(ctx);
    } catch (const std::bad_alloc &) {
        return no_memory(ctx);
    } catch (const std::exception &e) {
        return sy_fail(ctx, SY_FORMAT, "SentencePiece cannot encode: %s", e.what());
    }
}

enum sy_status sy_spm_decode(struct sy_ctx *ctx, const struct sy_spm *spm, const int32_t *ids, size_t count, char **out_text,
                             size_t *out_bytes)
{
    try {
        std::string text;
        auto status = spm->processor.Decode(std::vector<int>(ids, ids + count), &text);
        if (!status.ok())
            return sy_fail(ctx, SY_INVALID, "SentencePiece cannot decode: %s", status.error_message());
        *out_text = static_cast<char *>(copy(text.data(), text.size(), 1));
        *out_bytes = text.size();
        return *out_text != nullptr ? SY_OK : no_memory(ctx);
    } catch (const std::bad_alloc &) {
        return no_memory(ctx);
    } catch (const std::exception &e) {
        return sy_fail(ctx, SY_INVALID, "SentencePiece cannot decode: %s", e.what());
    }
}
